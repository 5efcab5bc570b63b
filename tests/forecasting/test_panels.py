"""Panels: parts without leakage, order, formats, and every fault as one line with series and row."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed.config import UserError
from seedbed.corpora import TestSplit
from seedbed.forecasting import LongConfig
from tests.forecasting.panels import FREQUENCIES, config, load, rows, table

KEY = TestSplit("a test")
ONE = {"yearly": FREQUENCIES["yearly"]}


def test_parts_are_cut_by_the_horizon(tmp_path: Path) -> None:
    panel = load(tmp_path, table())
    yearly_train, quarterly_train = panel.sets("train")
    yearly_history, _ = panel.sets("history")
    assert yearly_train.ids == ("y0", "y1", "y2", "y3") and quarterly_train.ids == ("q0", "q1")
    assert yearly_train.lengths.tolist() == [2, 6, 24, 34]
    assert yearly_history.lengths.tolist() == [5, 9, 27, 37]
    assert panel.valid()[0].lengths.tolist() == [3] * 4
    assert panel.seasonality == {"yearly": 1, "quarterly": 4}
    whole = pl.concat([panel.history, panel.test(KEY)]).sort("unique_id", "ds")
    assert whole.equals(table().sort("unique_id", "ds"))
    joined = np.concatenate([yearly_train.series(1), panel.valid()[0].series(1)])
    assert joined.tolist() == yearly_history.series(1).tolist()


def test_nothing_but_the_key_reaches_the_test_part(tmp_path: Path) -> None:
    panel = load(tmp_path, table(spike=1e6))
    for part in (*panel.sets("train"), *panel.sets("history"), *panel.valid()):
        # its arrays are copies: not even their bases hold the spike
        base = part.values if part.values.base is None else part.values.base
        assert np.abs(base).max() < 1e5
    assert panel.history["y"].max() < 1e5
    assert (panel.test(KEY)["y"] > 9e5).all()
    with pytest.raises(AssertionError):
        panel.test("please")  # type: ignore[arg-type]


def test_series_may_be_mixed_and_other_columns_are_not_read(tmp_path: Path) -> None:
    mixed = table().sort("ds", "unique_id").with_columns(pl.lit("x").alias("note"))
    assert load(tmp_path, mixed).history.equals(load(tmp_path, table()).history)


def test_csv_and_parquet_give_the_same_panel(tmp_path: Path) -> None:
    table().write_csv(tmp_path / "series.csv")
    from_csv = config(file="series.csv").load(tmp_path)
    assert from_csv.history.equals(load(tmp_path, table()).history)


def test_a_users_csv_of_one_frequency_needs_no_frequency_column(tmp_path: Path) -> None:
    lines = ["unique_id,ds,y", *(f"7,{day},{day}" for day in range(1, 12))]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    frequencies = {"counted": {"step": "1i", "horizon": 2, "seasonality": 1}}
    panel = LongConfig.parse({"name": "long", "file": "mine.csv", "frequencies": frequencies}, "panel").load(
        tmp_path
    )
    assert panel.test(KEY).rows() == [("7", 10, 10.0, "counted"), ("7", 11, 11.0, "counted")]


def spoiled(**changed: Any) -> pl.DataFrame:
    """One yearly series of ten years with columns replaced."""
    frame = rows("a", "yearly", [float(i) for i in range(10)])
    return frame.with_columns(pl.Series(name, values) for name, values in changed.items())


def dates(*replaced: tuple[int, int]) -> list[datetime.date]:
    years = list(range(1990, 2000))
    for place, year in replaced:
        years[place] = year
    return [datetime.date(year, 1, 1) for year in years]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (spoiled(ds=dates((5, 1994))), "series a row 6: date 1994-01-01 is there twice"),
        (spoiled(ds=dates((5, 1992))), "series a row 6: date 1992-01-01 is there twice"),
        (spoiled(ds=dates((0, 1995), (5, 1990))), "series a row 2: date 1991-01-01 comes after 1995-01-01"),
        (
            spoiled(ds=dates((9, 2003))),
            "row 10: date 2003-01-01, expected 1999-01-01 at a step of 1y",
        ),
        (spoiled(y=[*"0123", "vier", *"56789"]), "series a row 5: y is 'vier', expected a number"),
        (spoiled(y=[None, *range(1, 10)]), "series a row 1: y is None; series with gaps"),
        (spoiled(y=[0.0, float("nan"), *range(2, 10)]), "series a row 2: y is nan"),
        (spoiled(y=[0.0, float("inf"), *range(2, 10)]), "series a row 2: y is inf"),
        (spoiled(y=[None] * 10), "series a has no value at all"),
        (spoiled(y=[float("nan")] * 10), "series a has no value at all"),
        (spoiled(unique_id=[*"aaaa", None, *"aaaaa"]), "row 5: unique_id is empty"),
        (spoiled(ds=[f"year {i}" for i in range(10)]), "ds 'year 0' is String, expected dates"),
        (spoiled(ds=list(range(10))), "column ds is Int64, but panel.frequencies.yearly.step is 1y"),
        (
            spoiled(frequency=["daily"] * 10),
            "series a row 1: frequency 'daily'; panel.frequencies has",
        ),
        (spoiled().head(7), "series a has 7 points, the horizon 3 of yearly needs at least 8"),
        (spoiled().head(2), "series a has 2 points"),
        (spoiled().drop("y"), "no column 'y'; columns: unique_id, ds, frequency"),
        (spoiled().clear(), "no rows"),
    ],
)
def test_faults_are_told_in_one_line(frame: pl.DataFrame, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, frame, frequencies=ONE)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert "series.parquet" in str(caught.value)


def test_frequencies_are_checked(tmp_path: Path) -> None:
    mixed = spoiled(frequency=["yearly"] * 9 + ["quarterly"])
    with pytest.raises(UserError, match=r"series a has frequencies quarterly, yearly; give it one"):
        load(tmp_path, mixed)
    with pytest.raises(UserError, match="no series is quarterly"):
        load(tmp_path, spoiled())
    with pytest.raises(UserError, match="no column 'frequency', but the panel has yearly, quarterly"):
        load(tmp_path, spoiled().drop("frequency"))
    with pytest.raises(UserError, match="step"):
        config(frequencies={"yearly": {"step": "1 year", "horizon": 3, "seasonality": 1}})


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        config().load(tmp_path)
    (tmp_path / "series.parquet").write_bytes(b"PAR1 is not enough")
    with pytest.raises(UserError, match="not readable as parquet"):
        config().load(tmp_path)
    (tmp_path / "series.csv").write_bytes(b"unique_id,ds,y\na,2020-01-01,\xff\xfe\n")
    with pytest.raises(UserError, match=r"series\.csv"):
        config(file="series.csv").load(tmp_path)
    with pytest.raises(UserError, match="csv or"):
        config(file="series.xlsx").load(tmp_path)
