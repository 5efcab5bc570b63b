"""Regular time: whether dates follow one another without a gap, and which dates come next.

Steps of months (`1mo`, `3mo`, `1q`, `1y`) keep the day of the month, so a panel of month ends goes on with
month ends; steps of fixed length (`1w`, `1d`, `1h`, `1m`, `1s`) are exact; `1i` counts integers.
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

    def continue_after(self, instants_T: Instants, count: int) -> Instants:
        """The `count` instants that follow a regular series."""
        return self._from(int(instants_T[-1]), _anchor(instants_T), np.arange(1, count + 1))

    def first_irregular(self, instants_T: Instants) -> tuple[int, int] | None:
        """Position of the first point that is not where the step leads, and the instant expected there."""
        expected_T = self._from(int(instants_T[0]), _anchor(instants_T), np.arange(len(instants_T)))
        wrong = np.flatnonzero(expected_T != instants_T)
        return (int(wrong[0]), int(expected_T[wrong[0]])) if wrong.size else None

    def _from(self, start: int, anchor: int, steps_N: Instants) -> Instants:
        if self.unit not in MONTHS:
            return start + steps_N * self.count * MICROSECONDS.get(self.unit, 1)
        moment = np.datetime64(start, "us")
        first = moment.astype("M8[M]").astype(np.int64)
        months_N = (first + steps_N * self.count * MONTHS[self.unit]).astype("M8[M]")
        days_N = months_N.astype("M8[D]").astype(np.int64) + np.minimum(anchor, _lengths(months_N)) - 1
        time_of_day = start - moment.astype("M8[D]").astype("M8[us]").astype(np.int64)
        return np.asarray(days_N * DAY + time_of_day, dtype=np.int64)


def _lengths(months: NDArray[np.datetime64]) -> Instants:
    """Days in each month."""
    return np.asarray(((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64))


def _anchor(instants_T: Instants) -> int:
    """The day of the month that a series keeps to: 31 when every point is the last day of its month."""
    moments_T = instants_T.astype("M8[us]")
    months_T = moments_T.astype("M8[M]")
    days_T = (moments_T.astype("M8[D]") - months_T.astype("M8[D]")).astype(np.int64) + 1
    return 31 if bool(np.all(days_T == _lengths(months_T))) else int(days_T.max())
