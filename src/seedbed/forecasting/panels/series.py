"""Series of one frequency: values end to end, NaN where one is missing, and the time they lie in.

Shape legend: N series, H horizon.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seedbed.config import Strict
from seedbed.data.flat import FlatWriter
from seedbed.forecasting.calendar import PATTERN, Instants, Step
from seedbed.forecasting.panels.clock import to_time
from seedbed.forecasting.panels.covariates import Covariates

if TYPE_CHECKING:
    import polars as pl

COPIED_POINTS = 1 << 20
"""Points that a cut copies at a time: bounds the memory of cutting a set that lies on disk."""


class FrequencyConfig(Strict):
    """How often a kind of series is observed and how far it is forecast."""

    step: str = Field(
        pattern=f"^{PATTERN}$", description="1y, 1q, 1mo, 1w, 1d, 1h, 1m, 1s; 1i for integer time"
    )
    horizon: int = Field(ge=1, description="points to forecast; also the size of the valid and test parts")
    seasonality: int = Field(ge=1, description="points per season; 1: none")


@dataclass(frozen=True)
class SeriesSet:
    """Series of one frequency, compact: series i is values[offsets[i]:offsets[i + 1]].

    Points follow one another at the frequency's step; a point that is missing is NaN in `values`. A large
    set's values are mapped from a file (np.memmap), which takes no memory until they are read.
    """

    frequency: str
    config: FrequencyConfig
    ids: tuple[str, ...]
    values: NDArray[np.float64]
    offsets: NDArray[np.int64]
    starts: Instants
    """The first point of each series."""
    anchors: Instants
    """The day of the month that each series keeps to; see calendar.anchors."""
    time: Any
    """The polars type of the file's ds column, for the forecasts' own."""
    folder: Path | None = None
    """Where cuts of this set lie on disk; None: in memory."""
    covariates: Covariates | None = None

    @classmethod
    def counted(
        cls,
        frequency: str,
        config: FrequencyConfig,
        ids: Sequence[str],
        series: Sequence[Sequence[float] | NDArray[np.float64]],
    ) -> "SeriesSet":
        """Series in integer time, each from 0 on at the step of `config`."""
        import polars as pl

        lengths = [len(one) for one in series]
        zeros = np.zeros(len(series), np.int64)
        return cls(
            frequency,
            config,
            tuple(ids),
            np.concatenate([np.empty(0), *(np.asarray(one, np.float64) for one in series)]),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            zeros,
            zeros,
            pl.Int64(),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def series(self, index: int) -> NDArray[np.float64]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def bridged(self, index: int) -> NDArray[np.float64]:
        """A copy of series i for methods that need every point, from its first known value on: a gap takes
        the value a season before it, else the value before it. Where a season before lies another gap, it is
        the value before too: weekends of working days would else be those of the first week for ever. The
        set itself keeps its gaps.
        """
        values = self.series(index)
        known = np.flatnonzero(np.isfinite(values))
        values = np.array(values[known[0] if known.size else 0 :], dtype=np.float64)
        missing = np.isnan(values)
        first = 0
        for place in np.flatnonzero(missing).tolist():
            if place and not missing[place - 1]:
                first = place
            before = place - self.config.seasonality
            # what this same gap took is as old as the season before it, however long the gap
            taken = before >= 0 and (before >= first or not missing[before])
            values[place] = values[before if taken else place - 1]
        return values

    def last_known(self, index: int) -> float:
        """The last value of series i that is not missing; nan where all are."""
        values = self.series(index)
        known = np.flatnonzero(np.isfinite(values))
        return float(values[known[-1]]) if known.size else np.nan

    def dates(self, index: int) -> Instants:
        return self._instants(np.asarray([index]), np.asarray([0]), self.lengths[[index]])

    @property
    def instants(self) -> Instants:
        """Of every point, end to end as `values`: eight bytes a point, made anew at each call."""
        everyone = np.arange(len(self))
        return self._instants(everyone, np.zeros_like(everyone), self.lengths)

    def ahead(self) -> Instants:
        """(N, H): the horizon after each series' last point."""
        everyone, horizon = np.arange(len(self)), self.config.horizon
        ahead = self._instants(everyone, self.lengths, np.full(len(self), horizon, dtype=np.int64))
        return ahead.reshape(-1, horizon)

    def cutoffs(self) -> Instants:
        """(N,): each series' last point."""
        return Step.parse(self.config.step).at(self.starts, self.anchors, self.lengths - 1)

    def known(self, *, before_last: int = 0) -> NDArray[np.int64]:
        """(N,): points that are not missing, before the last so many of each series."""
        counts, kept = [], np.maximum(0, self.lengths - before_last)
        for a, b in _runs(self.offsets):
            are_known = np.append(np.isfinite(self.values[self.offsets[a] : self.offsets[b]]), False)
            starts = self.offsets[a:b] - self.offsets[a]
            # every other sum is of a series, those between are of what follows it
            bounds = np.stack([starts, starts + kept[a:b]], axis=1).ravel()
            counts.append(np.add.reduceat(are_known, bounds, dtype=np.int64)[::2])
        # reduceat gives an empty series its neighbour's first point
        found = np.concatenate([np.empty(0, np.int64), *counts]).astype(np.int64)
        return np.where(kept > 0, found, 0)

    def without_last(self, points: int) -> "SeriesSet":
        """A copy without each series' last points: they are not in its memory at all."""
        kept_N = np.maximum(0, self.lengths - points)
        return self._cut(np.arange(len(self)), np.zeros_like(kept_N), kept_N)

    def last(self, points: int) -> "SeriesSet":
        """A copy of each series' last points."""
        kept_N = np.minimum(points, self.lengths)
        return self._cut(np.arange(len(self)), self.lengths - kept_N, kept_N)

    def take(self, indices: NDArray[np.int64]) -> "SeriesSet":
        """A copy of some of the series."""
        return self._cut(indices, np.zeros_like(indices), self.lengths[indices])

    def part(self, numbers: slice) -> "SeriesSet":
        """A copy of series that follow one another, in memory wherever this set lies."""
        return replace(self, folder=None).take(np.arange(numbers.start, numbers.stop))

    def _cut(
        self, series: NDArray[np.int64], firsts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> "SeriesSet":
        """Of each of `series` `lengths` points from `firsts` on."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        writer = FlatWriter(self.folder)
        sources = self.offsets[:-1][series] + firsts
        for a, b in _runs(offsets):
            inner = np.arange(offsets[b] - offsets[a])
            places = np.repeat(sources[a:b] - offsets[a:b] + offsets[a], lengths[a:b]) + inner
            writer.append(self.values[places])
        step = Step.parse(self.config.step)
        return SeriesSet(
            self.frequency,
            self.config,
            tuple(self.ids[index] for index in series.tolist()),
            writer.finish(),
            offsets,
            step.at(self.starts[series], self.anchors[series], firsts),
            self.anchors[series],
            self.time,
            self.folder,
            None
            if self.covariates is None
            else self.covariates.cut(
                self.offsets, series=series, firsts=firsts, lengths=lengths, folder=self.folder
            ),
        )

    def _instants(
        self, series: NDArray[np.int64], firsts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> Instants:
        steps = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths - firsts, lengths)
        starts, anchors = np.repeat(self.starts[series], lengths), np.repeat(self.anchors[series], lengths)
        return Step.parse(self.config.step).at(starts, anchors, steps)

    def frame(self) -> "pl.DataFrame":
        """Long format: unique_id, ds, y (null where missing), frequency."""
        import polars as pl

        return pl.DataFrame(
            {
                "unique_id": repeat_ids(self.ids, self.lengths),
                "ds": to_time(self.instants, self.time, Step.parse(self.config.step)),
                "y": pl.Series("y", np.asarray(self.values), dtype=pl.Float64).fill_nan(None),
                "frequency": pl.repeat(self.frequency, len(self.values), dtype=pl.String, eager=True),
            }
        )


def _runs(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Bounds of runs of whole series, each of at most COPIED_POINTS points or one series."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + COPIED_POINTS, side="right")) - 1
        last = min(max(last, first + 1), len(offsets) - 1)
        yield first, last
        first = last


def repeat_ids(ids: tuple[str, ...], counts: NDArray[np.int64]) -> "pl.Series":
    """The column unique_id: each series' name `counts` times."""
    import polars as pl

    return pl.Series("unique_id", ids, dtype=pl.String).gather(np.repeat(np.arange(len(ids)), counts))
