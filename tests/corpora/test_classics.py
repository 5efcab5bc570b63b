"""The classics panel against what statsmodels itself loads, and the rule for gaps."""

import datetime
import itertools
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from seedbed.corpora.classics import ClassicsConfig, longest_run
from seedbed.corpora.source import FetchContext


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("classics")
    facts = ClassicsConfig(name="classics").fetch(folder, context=FetchContext(root=folder, scratch=folder))
    return pq.read_table(folder / "series.parquet"), facts, (folder / "series.parquet").read_bytes()


def one(panel, unique_id: str) -> tuple[list[datetime.date], np.ndarray]:
    rows = [row for row in panel[0].to_pylist() if row["unique_id"] == unique_id]
    return [row["ds"] for row in rows], np.array([row["y"] for row in rows])


def test_shape_and_order(panel) -> None:
    table, facts, _ = panel
    assert table.column_names == ["unique_id", "ds", "y", "frequency"]
    keys = list(zip(table["unique_id"].to_pylist(), table["ds"].to_pylist(), strict=True))
    assert keys == sorted(set(keys))
    assert table["y"].null_count == 0 and np.isfinite(table["y"].to_numpy()).all()
    assert sum(facts["series"].values()) == len(set(table["unique_id"].to_pylist()))
    assert facts["points"] == len(keys)


def test_no_gap_inside_a_series(panel) -> None:
    months = {"yearly": 12, "quarterly": 3, "monthly": 1}
    rows = panel[0].to_pylist()
    for before, after in itertools.pairwise(rows):
        if before["unique_id"] == after["unique_id"]:
            step = (after["ds"].year - before["ds"].year) * 12 + after["ds"].month - before["ds"].month
            assert step == months[before["frequency"]], after


def test_values_are_those_of_statsmodels(panel) -> None:
    from statsmodels import datasets

    dates, values = one(panel, "macrodata/realgdp")
    np.testing.assert_array_equal(values, datasets.macrodata.load_pandas().data["realgdp"])
    assert dates[0] == datetime.date(1959, 1, 1) and dates[-1] == datetime.date(2009, 7, 1)
    np.testing.assert_array_equal(one(panel, "nile/volume")[1], datasets.nile.load_pandas().data["volume"])
    sunspots = datasets.sunspots.load_pandas().data["SUNACTIVITY"]
    np.testing.assert_array_equal(one(panel, "sunspots/activity")[1], sunspots)
    co2 = datasets.co2.load_pandas().data["co2"].resample("MS").mean()
    dates, values = one(panel, "co2/mauna_loa")
    np.testing.assert_allclose(values, co2[str(dates[0]) : str(dates[-1])], rtol=1e-14)
    elnino = datasets.elnino.load_pandas().data.drop(columns="YEAR").to_numpy().ravel()
    np.testing.assert_array_equal(one(panel, "elnino/temperature")[1], elnino)


def test_fertility_covers_the_countries(panel) -> None:
    ids = {row for row in panel[0]["unique_id"].to_pylist() if row.startswith("fertility/")}
    assert "fertility/KOR" in ids
    dropped = [name for name in panel[1]["dropped"] if name.startswith("fertility/")]
    assert len(ids) + len(dropped) == 219


def test_bytes_repeat(panel, tmp_path: Path) -> None:
    ClassicsConfig(name="classics").fetch(tmp_path, context=FetchContext(root=tmp_path, scratch=tmp_path))
    assert (tmp_path / "series.parquet").read_bytes() == panel[2]


def test_longest_run() -> None:
    assert longest_run({}) == {}
    assert longest_run({5: 1.0, 1: 2.0, 2: 3.0, 6: 4.0}) == {5: 1.0, 6: 4.0}  # equal: the latest
    assert longest_run({1: 1.0, 2: 1.0, 3: 1.0, 9: 1.0}) == {1: 1.0, 2: 1.0, 3: 1.0}
