"""Layouts: small files written as the publishers write theirs, and the real ones where a mirror has them."""

import datetime
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from pydantic import TypeAdapter

from seedbed.config import UserError
from seedbed.corpora import FetchRecipe, TestSplit
from seedbed.corpora.mirror import Mirror
from seedbed.corpora.source import FetchContext
from seedbed.forecasting.layouts import (
    ETTConfig,
    ExchangeRateConfig,
    M3Config,
    M4Config,
    NN5Config,
    PanelConfig,
    TourismConfig,
)
from seedbed.forecasting.layouts.base import Layout
from seedbed.forecasting.panels import Panel

ROOT = Path(__file__).parents[2]
MIRROR = Path(os.environ.get("SEEDBED_TEST_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
needs_mirror = pytest.mark.skipif(not (MIRROR / "m3").is_dir(), reason="no mirror of the competitions' data")
KEY = TestSplit("a test")


def counted(horizon: int, *, step: str = "1i", seasonality: int = 1) -> dict[str, Any]:
    return {"step": step, "horizon": horizon, "seasonality": seasonality}


def competition(period: str, train: list[float], test: list[float]) -> dict[str, Any]:
    return {"period": [period], "h": [len(test)], "x": train, "xx": test}


def test_m3_keeps_its_split_and_reads_the_frequencies_of_the_conf(tmp_path: Path) -> None:
    series = {
        "N1": competition("YEARLY", [1.0, 2, 3, 4], [5.0, 6]),
        "N2": competition("MONTHLY", [7.0] * 9, [8.0] * 3),
        "N3": competition("YEARLY", [9.0, 9, 9], [1.0, 1]),
    }
    (tmp_path / "m3_data.json").write_text(json.dumps(series))
    layout = M3Config.parse({"name": "m3", "frequencies": {"yearly": counted(2)}}, "panel")
    panel = layout.load(tmp_path)
    assert panel.test(KEY).rows() == [
        ("N1", 5, 5.0, "yearly"),
        ("N1", 6, 6.0, "yearly"),
        ("N3", 4, 1.0, "yearly"),
        ("N3", 5, 1.0, "yearly"),
    ]
    other = M3Config.parse({"name": "m3", "frequencies": {"yearly": counted(3)}}, "panel")
    with pytest.raises(
        UserError, match=r"series N1: the published test part of yearly has 2 points, but .* is 3"
    ):
        other.load(tmp_path)
    (tmp_path / "m3_data.json").write_text('{"N1": {"x": [1.0]}}')
    with pytest.raises(UserError, match="series N1 has no list 'period'; is this the M3 or M1 file"):
        layout.load(tmp_path)


def test_m4_joins_train_and_test(tmp_path: Path) -> None:
    (tmp_path / "Weekly-train.csv").write_text('"V1","V2","V3","V4"\n"W1","1","2","3"\n"W2","4","5",\n')
    (tmp_path / "Weekly-test.csv").write_text('"V1","V2"\n"W1","9"\n"W2","8"\n')
    layout = M4Config.parse({"name": "m4", "frequencies": {"weekly": counted(1)}}, "panel")
    panel = layout.load(tmp_path)
    assert [panel.sets("history")[0].series(i).tolist() for i in (0, 1)] == [[1, 2, 3], [4, 5]]
    assert panel.test(KEY)["y"].to_list() == [9.0, 8.0]
    (tmp_path / "Weekly-test.csv").write_text('"V1","V2"\n"W1","9"\n"W2","eight"\n')
    with pytest.raises(UserError, match=r"Weekly-test\.csv: series W2 row 3: could not convert.*'eight'"):
        layout.load(tmp_path)
    (tmp_path / "Weekly-test.csv").unlink()
    with pytest.raises(UserError, match=r"Weekly-test\.csv: no such file"):
        layout.load(tmp_path)


def test_nn5_has_gaps(tmp_path: Path) -> None:
    lines = ["Day\tNN5-001\tNN5-002", "30-Dec-99\t1\t2", "31-Dec-99\t\t3", "1-Jan-00\t4\t5", "2-Jan-00\t6\t7"]
    (tmp_path / "NN5-Final-Dataset.csv").write_text("\n".join(lines))
    frequencies = {"daily": counted(1, step="1d", seasonality=7)}
    panel = NN5Config.parse({"name": "nn5", "frequencies": frequencies}, "panel").load(tmp_path)
    assert panel.history.filter(pl.col("unique_id") == "NN5-001")["y"].to_list() == [1.0, None, 4.0]
    assert panel.test(KEY)["ds"].to_list() == [datetime.date(2000, 1, 2)] * 2
    assert panel.counts.missing == 1 and panel.counts.absent_rows == 0
    with pytest.raises(UserError, match="nn5 has one frequency"):
        NN5Config.parse({"name": "nn5", "frequencies": frequencies | {"weekly": counted(1)}}, "panel")


def test_exchange_rates_have_neither_header_nor_dates(tmp_path: Path) -> None:
    (tmp_path / "exchange_rate.txt").write_text("0.5,1.5\n0.6,1.6\n0.7,1.7\n")
    frequencies = {"daily": counted(1)}
    layout = ExchangeRateConfig.parse({"name": "exchange_rate", "frequencies": frequencies}, "panel")
    assert layout.load(tmp_path).test(KEY).rows() == [("1", 3, 0.7, "daily"), ("2", 3, 1.7, "daily")]
    (tmp_path / "exchange_rate.txt").write_text("0.5,1.5\n0.6,x\n0.7,1.7\n")
    with pytest.raises(UserError, match="series 2 row 2: y is 'x', expected a number"):
        layout.load(tmp_path)


def test_ett_is_wide_with_dates(tmp_path: Path) -> None:
    lines = ["date,HUFL,OT", *(f"2016-07-01 0{hour}:00:00,{hour}.5,{hour}" for hour in range(5))]
    (tmp_path / "ETTh1.csv").write_text("\n".join(lines))
    values: dict[str, Any] = {"name": "ett", "frequencies": {"hourly": counted(2, step="1h")}}
    panel = ETTConfig.parse(values, "panel").load(tmp_path)
    assert panel.history["unique_id"].unique().sort().to_list() == ["HUFL", "OT"]
    alone = ETTConfig.parse(values | {"series": ["OT"]}, "panel").load(tmp_path)
    assert alone.test(KEY)["ds"].to_list() == [datetime.datetime(2016, 7, 1, hour) for hour in (3, 4)]
    with pytest.raises(UserError, match="no column 'WT'; columns: date, HUFL, OT"):
        ETTConfig.parse(values | {"series": ["WT"]}, "panel").load(tmp_path)


def test_tourism_columns_begin_with_length_and_start(tmp_path: Path) -> None:
    """Written after the layout that the competition published; its own files were not at hand."""
    (tmp_path / "yearly_in.csv").write_text("Y1,Y2\n3,2\n1990,1991\n1,4\n2,5\n3,\n")
    (tmp_path / "yearly_oos.csv").write_text("Y1,Y2\n1,1\n1993,1993\n9,8\n")
    (tmp_path / "quarterly_in.csv").write_text("Q1\n3\n2000\n4\n1\n2\n3\n")
    (tmp_path / "quarterly_oos.csv").write_text("Q1\n2\n2001\n3\n4\nNA\n")
    frequencies = {"yearly": counted(1, step="1y"), "quarterly": counted(2, step="3mo", seasonality=4)}
    layout = TourismConfig.parse({"name": "tourism", "frequencies": frequencies}, "panel")
    panel = layout.load(tmp_path)
    assert panel.test(KEY).rows() == [
        ("Y1", datetime.date(1993, 1, 1), 9.0, "yearly"),
        ("Y2", datetime.date(1993, 1, 1), 8.0, "yearly"),
        ("Q1", datetime.date(2001, 7, 1), 4.0, "quarterly"),
        ("Q1", datetime.date(2001, 10, 1), None, "quarterly"),
    ]
    assert panel.sets("history")[1].instants.astype("M8[us]").astype("M8[M]").astype(str).tolist() == [
        "2000-10",
        "2001-01",
        "2001-04",
    ]
    (tmp_path / "yearly_oos.csv").write_text("Y1,Y2\n1,1\n1991,1993\n9,8\n")
    with pytest.raises(UserError, match="series Y1 does not begin where its train part ends"):
        layout.load(tmp_path)


M4 = {"Weekly-train.csv": b"V1,V2,V3\nW1,1,2\nW2,3,4\n", "Weekly-test.csv": b"V1,V2\nW1,9\nW2,8\n"}
NN5 = b"Day\tNN5-001\n" + b"".join(b"0%d-Mar-96\t%d\n" % (day, day) for day in range(1, 9))
TOURISM = {"yearly_in.csv": b"Y1\n2\n1990\n1\n2\n", "yearly_oos.csv": b"Y1\n1\n1992\n9\n"}


def m3(**changed: Any) -> dict[str, bytes]:
    return {"m3_data.json": json.dumps({"N1": competition("YEARLY", [1, 2], [3]) | changed}).encode()}


@pytest.mark.parametrize(
    ("name", "files", "told"),
    [
        (
            "m4",
            M4 | {"Weekly-train.csv": b"V1,V2\nW\xe9,1\n"},
            r"Weekly-train\.csv: not readable as CSV: 'utf-8'",
        ),
        (
            "m4",
            M4 | {"Weekly-test.csv": b"V1,V2\nW1,9\n\nW1,8\n"},
            r"series W1 row 4: the series is there twice",
        ),
        (
            "nn5",
            {"NN5-Final-Dataset.csv": NN5 + b"09-Mar-96\t1\t2\t3\n"},
            r"as a table with tabs: found more fields",
        ),
        (
            "nn5",
            {"NN5-Final-Dataset.csv": b""},
            r"NN5-Final-Dataset\.csv: not readable as a table with tabs: empty",
        ),
        ("nn5", {"NN5-Final-Dataset.csv": NN5 + b"\xe9\t1\n"}, "as a table with tabs: invalid utf-8"),
        (
            "tourism",
            TOURISM | {"yearly_in.csv": b"Y1\ninf\n1990\n1\n2\n"},
            "series Y1: cannot convert float infinity",
        ),
        (
            "tourism",
            TOURISM | {"yearly_in.csv": b"Y1\n2\n0\n1\n2\n"},
            "series Y1: 2 values from the year 0 on",
        ),
        (
            "tourism",
            TOURISM | {"yearly_in.csv": b"Y1,Y1\n2,2\n1990,1990\n1,1\n2,2\n"},
            "series Y1 is there twice",
        ),
        (
            "tourism",
            TOURISM | {"yearly_oos.csv": b"Y\xe9\n1\n1992\n9\n"},
            r"yearly_oos\.csv: not readable as CSV",
        ),
        ("m3", m3(period=[1]), "no series of yearly; is this the M3 or M1 file"),
        ("m3", m3(x=[1.0, "2,5"]), "series N1: x has '2,5', expected numbers"),
        ("m3", m3(x=[1.0, 10**400]), "not readable as numbers in x of series N1: int too large"),
        ("m3", {"m3_data.json": b'{"N1": 1, "N1": 2}'}, "not readable as JSON: N1 is there twice"),
        ("exchange_rate", {"exchange_rate.txt": b""}, "not readable as a table of numbers: empty"),
        ("ett", {"ETTh1.csv": b"date,OT\n1,2,3\n"}, "not readable as CSV: found more fields"),
    ],
)
def test_files_that_nobody_publishes_are_told_in_one_line(
    name: str, files: dict[str, bytes], told: str, tmp_path: Path
) -> None:
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    frequency = {"m4": "weekly", "nn5": "daily"}.get(name, "yearly")
    step = {"nn5": "1d", "tourism": "1y", "ett": "1h"}.get(name, "1i")
    values = {"name": name, "frequencies": {frequency: counted(1, step=step)}}
    layout: Layout = TypeAdapter(PanelConfig).validate_python(values)
    with pytest.raises(UserError, match=told) as caught:
        layout.load(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_m4_may_have_blank_lines(tmp_path: Path) -> None:
    for file, content in M4.items():
        (tmp_path / file).write_bytes(content + b"\n,,\n")
    layout = M4Config.parse({"name": "m4", "frequencies": {"weekly": counted(1)}}, "panel")
    assert layout.load(tmp_path).sets("history")[0].ids == ("W1", "W2")


@pytest.mark.parametrize("path", sorted((ROOT / "conf/panel").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_panel_of_conf_is_readable(path: Path) -> None:
    text = json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert isinstance(TypeAdapter(PanelConfig).validate_json(text), Layout)


def fetched(name: str) -> FetchRecipe:
    recipe = yaml.safe_load((ROOT / f"conf/fetch/{name}.yaml").read_text(encoding="utf-8"))
    return FetchRecipe.parse(recipe, f"fetch.{name}")


def real(name: str, tmp_path: Path, *, source: str | None = None) -> Panel:
    """The panel of conf/panel, its source fetched as conf/fetch says: no address is opened."""
    context = FetchContext(root=tmp_path, scratch=tmp_path / "scratch", mirror=Mirror(str(MIRROR)))
    folder = tmp_path / name
    folder.mkdir()
    fetched(source or name).source.fetch(folder, context=context)
    text = json.dumps(yaml.safe_load((ROOT / f"conf/panel/{name}.yaml").read_text(encoding="utf-8")))
    layout: Layout = TypeAdapter(PanelConfig).validate_json(text)
    return layout.load(folder)


@pytest.mark.parametrize("name", ["etth1", "etth1_oil", "ettm1"])
def test_what_a_panel_of_ett_reads_is_what_its_source_brings(name: str) -> None:
    source = fetched("ett").source
    assert source.name == "url" and {file.target for file in source.files} == {
        f"ETT{kind}.csv" for kind in ("h1", "h2", "m1", "m2")
    }
    panel = yaml.safe_load((ROOT / f"conf/panel/{name}.yaml").read_text(encoding="utf-8"))
    assert panel["file"] in {file.target for file in source.files}


@needs_mirror
@pytest.mark.parametrize(("name", "points", "ahead"), [("etth1", 17_420, 24), ("ettm1", 69_680, 96)])
def test_ett_has_what_was_published(name: str, points: int, ahead: int, tmp_path: Path) -> None:
    source, mirror = fetched("ett").source, Mirror(str(MIRROR))
    assert source.name == "url"
    if any(mirror.find_content(file.sha256) is None for file in source.files):
        pytest.skip("this mirror has no ETT")
    panel = real(name, tmp_path, source="ett")
    [history] = panel.sets("history")
    assert len(history) == 7 and set(history.lengths) == {points - ahead} and panel.counts.missing == 0


@needs_mirror
@pytest.mark.parametrize(
    ("name", "series", "test_points", "missing"),
    [
        ("m3", {"yearly": 645, "quarterly": 756, "monthly": 1428, "other": 174}, 37_014, 0),
        ("m1", {"yearly": 181, "quarterly": 203, "monthly": 617}, 13_816, 0),
        ("m4", {"weekly": 359, "hourly": 414}, 24_539, 0),
        ("nn5", {"daily": 111}, 6_216, 1677),
        ("exchange_rate", {"working_days": 8}, 240, 0),
    ],
)
def test_the_real_files_have_what_was_published(
    name: str, series: dict[str, int], test_points: int, missing: int, tmp_path: Path
) -> None:
    panel = real(name, tmp_path)
    assert {one.frequency: len(one) for one in panel.sets("history")} == series
    assert panel.test(KEY).height == test_points
    assert panel.counts.missing == missing and not panel.counts.left_out
    assert set(panel.without_valid.values()) == {0}


@needs_mirror
def test_m3_is_cut_where_it_was_published(tmp_path: Path) -> None:
    panel = real("m3", tmp_path)
    published = json.loads((tmp_path / "m3/m3_data.json").read_text())
    assert len(published) == 3003
    truth = panel.test(KEY).partition_by("unique_id", as_dict=True, maintain_order=True)
    for one in panel.sets("history"):
        for index, name in enumerate(one.ids):
            np.testing.assert_array_equal(one.series(index), published[name]["x"])
            assert truth[(name,)]["y"].to_list() == published[name]["xx"]
