"""Regular time: where the points of a series lie, and which dates come next.

Steps of months (`1mo`, `3mo`, `1q`, `1y`) keep the day of the month, so a panel of month ends goes on with
month ends; steps of fixed length (`1w`, `1d`, `1h`, `1m`, `1s`) are exact; `1i` counts integers.
Every function works on arrays of any one shape, a series or a point per element.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Instants = NDArray[np.int64]
"""Microseconds since 1970 for dates and times, plain numbers for integer time."""

MONTHS = {"mo": 1, "q": 3, "y": 12}
MICROSECONDS = {"s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6, "w": 7 * 86400 * 10**6}
DAY = MICROSECONDS["d"]
MONTH_END = 31
PATTERN = r"([1-9][0-9]*)(mo|q|y|w|d|h|m|s|i)"


@dataclass(frozen=True)
class Step:
    """The distance between two points of a series."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Step":
        match = re.fullmatch(PATTERN, text)
        assert match, text
        return cls(int(match[1]), match[2])

    @property
    def is_integer(self) -> bool:
        return self.unit == "i"

    @property
    def months(self) -> int:
        """Length in months; 0 of a step that is none."""
        return self.count * MONTHS.get(self.unit, 0)

    def at(self, starts: Instants, anchors: Instants, steps: Instants) -> Instants:
        """The instants `steps` after `starts`, in months keeping to the day `anchors` (see `anchor`)."""
        if not self.months:
            return np.asarray(starts + steps * self.count * MICROSECONDS.get(self.unit, 1), dtype=np.int64)
        months = (_months(starts) + steps * self.months).astype("M8[M]")
        days = months.astype("M8[D]").astype(np.int64) + np.minimum(anchors, _lengths(months)) - 1
        return np.asarray(days * DAY + starts % DAY, dtype=np.int64)

    def count_from(self, starts: Instants, instants: Instants) -> Instants:
        """Whole steps from `starts` to `instants`; `at` gives `instants` back where they lie on the grid."""
        if self.months:
            return np.asarray((_months(instants) - _months(starts)) // self.months, dtype=np.int64)
        return np.asarray(
            (instants - starts) // (self.count * MICROSECONDS.get(self.unit, 1)), dtype=np.int64
        )


def days_of_month(instants: Instants) -> Instants:
    """1 to 31."""
    days = instants.astype("M8[us]").astype("M8[D]")
    return np.asarray((days - days.astype("M8[M]").astype("M8[D]")).astype(np.int64) + 1)


def anchors(instants: Instants, firsts: Instants) -> Instants:
    """The day of the month that each series keeps to: 31 when all its points are last days of their month.

    Else the first point's day, or the latest one where a short month may have cut the first point's.
    Series i is instants[firsts[i]:firsts[i + 1]], the last one to the end; none is empty.
    """
    days = days_of_month(instants)
    are_ends = days == _lengths(_months(instants).astype("M8[M]"))
    all_ends = np.logical_and.reduceat(are_ends, firsts)
    own = np.where(are_ends[firsts], np.maximum.reduceat(days, firsts), days[firsts])
    return np.asarray(np.where(all_ends, MONTH_END, own), dtype=np.int64)


def _months(instants: Instants) -> Instants:
    """Months since January 1970."""
    return np.asarray(instants.astype("M8[us]").astype("M8[M]").astype(np.int64))


def _lengths(months: NDArray[np.datetime64]) -> Instants:
    """Days in each month."""
    return np.asarray(((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64))
