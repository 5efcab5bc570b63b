"""A panel's parts: of each series the last `horizon` points are the test part, the `horizon` before them the
valid part, the rest the train part. The test part is handed out for a TestSplit key alone.

A series too short for a valid part has none: it is not in the sets `train` and `valid`, which go together,
but in `history`, which the last fit learns from and forecasts continue.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from seedbed.corpora import TestSplit
from seedbed.forecasting.panels.rules import MIN_TRAIN, Counts
from seedbed.forecasting.panels.series import COPIED_POINTS, SeriesSet

if TYPE_CHECKING:
    import polars as pl

Part = Literal["train", "history"]
"""train: before the valid part; history: before the test part (train and valid together)."""


class Panel:
    """Series of one or several frequencies; what trains sees copies that end before the test part."""

    def __init__(self, sets: tuple[SeriesSet, ...], counts: Counts | None = None) -> None:
        self.counts = Counts() if counts is None else counts
        self._test = tuple(one.last(one.config.horizon) for one in sets)
        self._history = tuple(one.without_last(one.config.horizon) for one in sets)

    @property
    def seasonality(self) -> dict[str, int]:
        """Points per season by frequency."""
        return {one.frequency: one.config.seasonality for one in self._history}

    @property
    def without_valid(self) -> dict[str, int]:
        """Series by frequency that are too short for a valid part."""
        return {one.frequency: len(one) - len(_scored(one)) for one in self._history}

    def facts(self) -> dict[str, object]:
        """Counts of what came, is missing and was left out, for the artifact."""
        counted = asdict(self.counts)
        del counted["emptied"]  # a panel names its frequencies, and none of them is left out
        return {**counted, "without_valid": self.without_valid}

    def digest(self) -> str:
        """sha256 of all that can be learned from: names, times and values before the test part."""
        found = hashlib.sha256()
        for one in self._history:
            found.update(json.dumps([one.frequency, one.ids]).encode())
            for numbers in (one.offsets, one.starts):
                found.update(numbers.tobytes())
            for first in range(0, len(one.values), COPIED_POINTS):
                found.update(one.values[first : first + COPIED_POINTS].tobytes())
            if one.covariates is not None:
                one.covariates.digest(found)
        return found.hexdigest()

    def lines(self) -> list[str]:
        """What the user should hear of the panel; nothing when all is whole."""
        return self.counts.lines() + [
            f"{count} series of {frequency} are too short for a valid part: they are not scored on one"
            for frequency, count in self.without_valid.items()
            if count
        ]

    def sets(self, part: Part) -> tuple[SeriesSet, ...]:
        """One SeriesSet per frequency, in the order of the configuration; `train` may be empty."""
        if part == "history":
            return self._history
        return tuple(_scored(one).without_last(one.config.horizon) for one in self._history)

    def valid(self) -> tuple[SeriesSet, ...]:
        """The valid part of each frequency, of the series of `train`."""
        return tuple(_scored(one).last(one.config.horizon) for one in self._history)

    @property
    def history(self) -> "pl.DataFrame":
        """Everything before the test part: unique_id, ds, y (null where missing), frequency."""
        import polars as pl

        return pl.concat([one.frame() for one in self._history])

    def test(self, key: TestSplit) -> "pl.DataFrame":
        """The test part, for holders of the key: unique_id, ds, y (null where missing), frequency."""
        import polars as pl

        return pl.concat([one.frame() for one in self.test_sets(key)])

    def test_sets(self, key: TestSplit) -> tuple[SeriesSet, ...]:
        """The test part of each frequency, for holders of the key."""
        assert isinstance(key, TestSplit)
        return self._test

    def history_of(self, ids: Iterable[str]) -> "pl.DataFrame":
        """`history` of some series."""
        import polars as pl

        wanted = set(ids)
        chosen = [
            one.take(np.asarray([i for i, name in enumerate(one.ids) if name in wanted], np.int64))
            for one in self._history
        ]
        return pl.concat([one.frame() for one in chosen])


def learnable(series: SeriesSet) -> SeriesSet:
    """The series with points enough to learn from."""
    enough = series.known() >= MIN_TRAIN
    return series if enough.all() else series.take(np.flatnonzero(enough))


def train_and_valid(history: SeriesSet) -> tuple[SeriesSet, SeriesSet]:
    """The series that are long enough for it, without their last horizon, and those horizons."""
    scored, horizon = _scored(history), history.config.horizon
    return scored.without_last(horizon), scored.last(horizon)


def _scored(history: SeriesSet) -> SeriesSet:
    """The series that have a valid part, something known in it, and enough before it."""
    horizon = history.config.horizon
    before = history.known(before_last=horizon)
    enough = (before >= MIN_TRAIN) & (history.known() > before)
    return history if enough.all() else history.take(np.flatnonzero(enough))
