"""Dates that follow: month ends stay month ends, leap days come back, gaps are found."""

import numpy as np
import pytest

from seedbed.forecasting.calendar import Step


def instants(*dates: str) -> np.ndarray:
    return np.asarray(dates, dtype="M8[us]").astype(np.int64)


@pytest.mark.parametrize(
    ("step", "dates", "following"),
    [
        ("1y", ["2019-01-01", "2020-01-01"], ["2021-01-01", "2022-01-01"]),
        ("1y", ["2018-12-31", "2019-12-31"], ["2020-12-31", "2021-12-31"]),
        ("1y", ["2018-02-28", "2019-02-28"], ["2020-02-29", "2021-02-28"]),
        ("1q", ["2019-06-30", "2019-09-30"], ["2019-12-31", "2020-03-31"]),
        ("3mo", ["2019-07-01", "2019-10-01"], ["2020-01-01", "2020-04-01"]),
        ("1mo", ["2020-01-31", "2020-02-29"], ["2020-03-31", "2020-04-30"]),
        ("1mo", ["2020-01-30", "2020-02-29", "2020-03-30"], ["2020-04-30", "2020-05-30"]),
        ("1mo", ["2020-11-15", "2020-12-15"], ["2021-01-15", "2021-02-15"]),
        ("1w", ["2020-02-17", "2020-02-24"], ["2020-03-02", "2020-03-09"]),
        ("1d", ["2020-02-27", "2020-02-28"], ["2020-02-29", "2020-03-01"]),
        ("6h", ["2020-02-28T12:00", "2020-02-28T18:00"], ["2020-02-29T00:00", "2020-02-29T06:00"]),
        ("1mo", ["1960-01-01T09:30", "1960-02-01T09:30"], ["1960-03-01T09:30", "1960-04-01T09:30"]),
    ],
)
def test_continues_as_the_series_went(step: str, dates: list[str], following: list[str]) -> None:
    known = instants(*dates)
    assert Step.parse(step).first_irregular(known) is None
    assert Step.parse(step).continue_after(known, 2).tolist() == instants(*following).tolist()


def test_integers_count() -> None:
    assert Step.parse("2i").continue_after(np.asarray([5, 7]), 3).tolist() == [9, 11, 13]
    assert Step.parse("1i").first_irregular(np.asarray([5, 6, 8])) == (2, 7)


@pytest.mark.parametrize(
    ("step", "dates", "place", "expected"),
    [
        ("1mo", ["2020-01-01", "2020-02-01", "2020-04-01"], 2, "2020-03-01"),
        ("1y", ["2020-01-01", "2020-07-01"], 1, "2021-01-01"),
        ("1d", ["2020-01-01", "2020-01-02", "2020-01-04"], 2, "2020-01-03"),
    ],
)
def test_finds_the_first_irregular_point(step: str, dates: list[str], place: int, expected: str) -> None:
    assert Step.parse(step).first_irregular(instants(*dates)) == (place, instants(expected)[0])
