"""What is inferred of a table: steps as people write them, seasons, horizons that the series can carry."""

import datetime
from typing import Any

import polars as pl
import pytest

from seedbed.config import UserError
from seedbed.forecasting.infer import describe, infer_frequencies


def series(name: str, ds: Any, **columns: Any) -> pl.DataFrame:
    ds = pl.Series("ds", ds)
    return pl.DataFrame({"unique_id": [name] * len(ds), "ds": ds, "y": [1.0] * len(ds), **columns})


def dates(first: str, every: str, count: int) -> pl.Series:
    start = datetime.datetime.fromisoformat(first)
    found = pl.datetime_range(start, start + datetime.timedelta(days=400 * count), every, eager=True)[:count]
    return found.dt.date() if found.dt.hour().max() == 0 else found


def minutes(every: int, count: int) -> pl.Series:
    start = datetime.datetime(2001, 1, 1)
    return pl.Series([start + datetime.timedelta(minutes=every * i) for i in range(count)])


@pytest.mark.parametrize(
    ("ds", "told"),
    [
        (dates("2001-01-01", "1y", 30), "yearly, no season, horizon 6"),
        (dates("2001-01-01", "1q", 60), "quarterly, season 4, horizon 8"),
        (dates("2001-01-01", "1mo", 60), "monthly, season 12, horizon 18"),
        (dates("2001-01-01", "1mo", 30), "monthly, season 12, horizon 10"),
        (dates("2001-01-01", "1mo", 61).dt.offset_by("-1d"), "monthly, season 12, horizon 18"),
        (dates("2001-01-30", "1mo", 60), "monthly, season 12, horizon 18"),
        (dates("2001-01-01", "1w", 60), "weekly, season 52, horizon 13"),
        (dates("2001-01-01", "1d", 60), "daily, season 7, horizon 14"),
        (dates("2001-01-01", "1h", 999), "hourly, season 24, horizon 48"),
        (dates("2001-01-01T00:15", "15m", 999), "15m, season 96, horizon 96"),
        (minutes(5, 999), "5m, season 288, horizon 96"),
        (minutes(1, 9999), "1m, season 1440, horizon 96"),
        (minutes(1, 99), "1m, season 1440, horizon 33"),
        (minutes(30, 999), "30m, season 48, horizon 48"),
        (dates("2001-01-01", "6mo", 60), "6mo, season 2, horizon 8"),
        (list(range(5, 50)), "1i, no season, horizon 8"),
        (list(range(5, 500, 5)), "5i, no season, horizon 8"),
    ],
)
def test_steps_as_people_write_them(ds: Any, told: str) -> None:
    _, frequencies = infer_frequencies(series("a", ds), where="x")
    assert describe(frequencies) == told


def test_gaps_and_working_days_do_not_hide_the_step() -> None:
    days = dates("2024-01-01", "1d", 100)
    weekdays = days.filter(days.dt.weekday() <= 5)
    months = dates("2020-01-01", "1mo", 40).gather([0, 1, 2, 5, 6, 8, 9, 10, 30])
    _, frequencies = infer_frequencies(series("a", weekdays), where="x")
    assert list(frequencies) == ["daily"]
    _, frequencies = infer_frequencies(series("a", months), where="x")
    assert list(frequencies) == ["monthly"]


def test_the_order_of_rows_does_not_hide_the_step() -> None:
    for every, name in (("1mo", "monthly"), ("1d", "daily"), ("1y", "yearly")):
        ds = dates("2001-01-01", every, 40)
        _, frequencies = infer_frequencies(series("a", ds.reverse()), where="x")
        assert list(frequencies) == [name]
    _, frequencies = infer_frequencies(series("a", list(range(40, 0, -2))), where="x")
    assert list(frequencies) == ["2i"]


def test_series_of_several_steps_become_frequencies() -> None:
    table = pl.concat(
        [
            series("월간 1", dates("2001-01-01", "1mo", 50)),
            series("월간 2", dates("2001-01-01", "1mo", 50)),
            series("주간", dates("2001-01-01", "1w", 90)),
            series("하나", [datetime.date(2001, 1, 1)]),
        ]
    )
    found, frequencies = infer_frequencies(table, where="x")
    assert list(frequencies) == ["monthly", "weekly"]
    assert dict(found.select("unique_id", "frequency").unique().iter_rows()) == {
        "월간 1": "monthly",
        "월간 2": "monthly",
        "주간": "weekly",
        "하나": "monthly",
    }
    assert found["ds"].equals(table["ds"]), "the order of rows is the file's"


def test_what_is_given_is_not_inferred() -> None:
    table = series("a", dates("2001-01-01", "1mo", 60))
    _, frequencies = infer_frequencies(table, where="x", step="1d", horizon=3, seasonality=30)
    assert describe(frequencies) == "daily, season 30, horizon 3"
    with pytest.raises(UserError, match="no series has two dates"):
        infer_frequencies(table.head(1), where="x")
