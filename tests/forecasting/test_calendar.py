"""Dates that follow: month ends stay month ends, leap days come back, what is off the step is found."""

import numpy as np
import pytest

from seedbed.forecasting.calendar import Step, anchors


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
    known, ahead = instants(*dates), instants(*following)
    parsed = Step.parse(step)
    days = anchors(known, np.asarray([0]))
    everywhere = np.arange(len(known) + len(ahead))
    assert parsed.at(known[:1], days, everywhere).tolist() == [*known.tolist(), *ahead.tolist()]
    assert parsed.count_from(known[:1], np.concatenate([known, ahead])).tolist() == everywhere.tolist()


def test_integers_count() -> None:
    step = Step.parse("2i")
    assert step.at(np.asarray([5]), np.asarray([0]), np.arange(4)).tolist() == [5, 7, 9, 11]
    assert step.count_from(np.asarray([5]), np.asarray([5, 7, 8, 9])).tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("step", "dates", "are_on_grid"),
    [
        ("1mo", ["2020-01-01", "2020-02-01", "2020-04-01", "2020-04-02"], [True, True, True, False]),
        ("1y", ["2020-01-01", "2020-07-01"], [True, False]),
        ("1d", ["2020-01-01", "2020-01-02T12:00", "2020-01-04"], [True, False, True]),
        ("3mo", ["2019-03-31", "2019-06-30", "2019-08-31"], [True, True, False]),
    ],
)
def test_finds_what_is_off_the_step(step: str, dates: list[str], are_on_grid: list[bool]) -> None:
    known, parsed = instants(*dates), Step.parse(step)
    days = anchors(known, np.asarray([0]))
    back = parsed.at(known[:1], days, parsed.count_from(known[:1], known))
    assert (back == known).tolist() == are_on_grid


def test_each_series_keeps_to_its_own_day() -> None:
    known = instants("2020-01-31", "2020-02-29", "2020-01-29", "2020-02-29", "2020-03-29", "2020-02-29")
    assert anchors(known, np.asarray([0, 2, 5])).tolist() == [31, 29, 31]
