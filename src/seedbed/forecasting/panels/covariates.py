"""Covariates of series: what was measured beside y (past), what is known ahead (future), what never changes.

Where a series has a point its covariates are known: one that is missing is a fault, never filled. Cuts keep
of the future covariates a horizon more than of y, and of the past ones not a row more.

Shape legend: L points of all series end to end, N series, H horizon, P, F, S past, future, static covariates.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from seedbed.config import Strict
from seedbed.data.flat import FlatWriter

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
COPIED_ROWS = 1 << 20
"""Rows that are copied at a time: bounds the memory of cutting covariates that lie on disk."""
RESERVED = ("unique_id", "ds", "y", "frequency", "row", "step")


Period = Literal["hour", "weekday", "day", "month"]
"""of the day, of the week, of the month, of the year"""


class CovariatesConfig(Strict):
    """Which columns are covariates, and when each is known."""

    past: tuple[str, ...] = Field((), description="columns known up to the last y; later rows are not read")
    future: tuple[str, ...] = Field((), description="columns known a horizon ahead: calendars, prices, plans")
    static: tuple[str, ...] = Field((), description="columns that are constant within each series")
    calendar: tuple[Period, ...] = Field(
        (), description="what the dates themselves tell, ahead too: a cosine and a sine of each period"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns; empty where there are none."""
        return self.past + self.future + self.static

    @property
    def ahead(self) -> tuple[str, ...]:
        """All that is known ahead: the future columns, and two of each period of the calendar."""
        return self.future + tuple(f"{name}_{wave}" for name in self.calendar for wave in ("cos", "sin"))

    def __bool__(self) -> bool:
        return bool(self.names or self.calendar)

    def __str__(self) -> str:
        kinds = [(kind, getattr(self, kind)) for kind in ("past", "future", "static", "calendar")]
        return " ".join(f"{kind}=[{','.join(names)}]" for kind, names in kinds if names)

    @model_validator(mode="after")
    def _columns_are_told_apart(self) -> Self:
        for name in self.names:
            if name in RESERVED:
                raise ValueError(f"column {name} has a meaning of its own; rename the covariate")
            if self.names.count(name) > 1:
                raise ValueError(f"column {name} is named twice; a future covariate is known in the past too")
        return self


NO_COVARIATES = CovariatesConfig()


@dataclass(frozen=True)
class Covariates:
    """Of the series of a set: row i of `past_LP` is beside value i; `future` has H more rows a series.

    In a series' last H rows of `future` NaN is what is not known; elsewhere everything is known.
    """

    config: CovariatesConfig
    horizon: int
    past_LP: Floats
    future: Floats
    static_NS: Floats

    def cut(
        self, offsets: Integers, *, series: Integers, firsts: Integers, lengths: Integers, folder: Path | None
    ) -> "Covariates":
        """Of each of `series` those beside `lengths` points from `firsts` on, and the horizon after them."""
        starts = offsets[:-1][series] + firsts
        return Covariates(
            self.config,
            self.horizon,
            _copy(self.past_LP, starts, lengths, folder),
            _copy(self.future, starts + self.horizon * series, lengths + self.horizon, folder),
            self.static_NS[series],
        )

    def digest(self, found: "hashlib._Hash") -> None:
        """Feed names and values to `found`."""
        found.update(self.config.model_dump_json().encode())
        for rows in (self.past_LP, self.future, self.static_NS):
            for first in range(0, len(rows), COPIED_ROWS):
                found.update(np.ascontiguousarray(rows[first : first + COPIED_ROWS]).tobytes())

    def facts(self, offsets: Integers) -> dict[str, Floats]:
        """By kind (3, C): mean, standard deviation and largest absolute value, of no row ahead of the series.

        One that never changes has the deviation 1; so has one that is nowhere but zero as its largest.
        """
        future = (
            self.future[offsets[i] + self.horizon * i : offsets[i + 1] + self.horizon * i]
            for i in range(len(offsets) - 1)
        )
        return {
            "past": _facts(_pieces(self.past_LP), len(self.config.past)),
            "future": _facts(future, len(self.config.ahead)),
            "static": _facts(_pieces(self.static_NS), len(self.config.static)),
        }


class CovariatesWriter:
    """Appends the covariates of whole series; the rows lie where the values do."""

    def __init__(self, config: CovariatesConfig, *, horizon: int, folder: Path | None) -> None:
        self._config, self._horizon = config, horizon
        self._past, self._future = FlatWriter(folder), FlatWriter(folder)
        self._static: list[Floats] = []

    def append(self, past_LP: Floats, future: Floats, static_NS: Floats) -> None:
        self._past.append(past_LP.reshape(-1))
        self._future.append(future.reshape(-1))
        self._static.append(static_NS)

    def finish(self) -> Covariates | None:
        """None where no column is a covariate."""
        if not self._config:
            return None
        return Covariates(
            self._config,
            self._horizon,
            _rows(self._past.finish(), len(self._config.past)),
            _rows(self._future.finish(), len(self._config.ahead)),
            np.concatenate([np.empty((0, len(self._config.static))), *self._static]),
        )


def waves(instants: Integers, calendar: tuple[Period, ...]) -> Floats:
    """(points, 2 C): cosine and sine of where instants lie in each period, months by their own length."""
    time = instants.astype("M8[us]")
    day = time.astype("M8[D]")
    month, year = time.astype("M8[M]"), time.astype("M8[Y]")
    columns: list[Floats] = []
    for name in calendar:
        if name == "hour":
            share = (time - day) / np.timedelta64(1, "D")
        elif name == "weekday":
            share = (day.astype(np.int64) + 3) % 7 / 7  # 1970 began on a Thursday
        elif name == "day":
            length = (month + 1).astype("M8[D]") - month.astype("M8[D]")
            share = (day - month.astype("M8[D]")) / length
        else:
            share = (month - year.astype("M8[M]")).astype(np.int64) / 12
        columns += [np.cos(2 * np.pi * share), np.sin(2 * np.pi * share)]
    return np.stack(columns, axis=1) if columns else np.empty((len(instants), 0))


def _rows(flat: Floats, width: int) -> Floats:
    return flat.reshape(-1, width) if width else np.empty((0, 0))


def _copy(rows: Floats, starts: Integers, lengths: Integers, folder: Path | None) -> Floats:
    """Of each series `lengths` rows from `starts` on, end to end."""
    width = rows.shape[1]
    if not width:
        return rows
    writer = FlatWriter(folder)
    edges = np.concatenate([[0], np.cumsum(lengths)])
    for first in range(0, int(edges[-1]), COPIED_ROWS):
        places = np.arange(first, min(first + COPIED_ROWS, int(edges[-1])))
        owners = np.searchsorted(edges, places, side="right") - 1
        writer.append(rows[starts[owners] - edges[owners] + places].reshape(-1))
    return _rows(writer.finish(), width)


def _pieces(rows: Floats) -> Iterator[Floats]:
    return (rows[first : first + COPIED_ROWS] for first in range(0, len(rows), COPIED_ROWS))


def _facts(pieces: Iterator[Floats], width: int) -> Floats:
    """In one pass: counts, means and squares of pieces are joined as Chan et al. 1979 join them."""
    count, mean, squares, largest = 0, np.zeros(width), np.zeros(width), np.zeros(width)
    for piece in pieces if width else ():
        if not len(piece):
            continue
        own = piece.mean(0)
        ahead, total = own - mean, count + len(piece)
        squares = squares + ((piece - own) ** 2).sum(0) + ahead**2 * (count * len(piece) / total)
        mean, count = mean + ahead * (len(piece) / total), total
        largest = np.maximum(largest, np.abs(piece).max(0))
    deviation = np.sqrt(squares / max(1, count))
    # rounding leaves a constant a deviation of its own
    deviation[deviation <= 1e-12 * largest] = 1.0
    return np.stack([mean, deviation, np.where(largest > 0, largest, 1.0)])
