"""A forecaster scored piece by piece: errors are kept in memory, points and many rows on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seedbed.data.flat import COPIED_VALUES, FlatWriter
from seedbed.data.spool import Spool
from seedbed.evaluation.intervals import Floats
from seedbed.evaluation.series import KEYS, Forecasted, Points


class Gathering:
    """Pieces of one forecaster of one panel."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first: Forecasted | None = None
        self._errors: list[pl.DataFrame] = []
        self._scales: list[Floats] = []
        self._widths: list[NDArray[np.int64]] = []
        self._rows = Spool(folder)
        self._points: dict[str, FlatWriter] = {}

    def add(self, piece: Forecasted) -> None:
        assert isinstance(piece.joined, pl.DataFrame)
        self._rows.add(piece.joined)
        if self._first is None:
            nothing = replace(piece.points.of([False] * len(piece.points)), folder=self._folder)
            self._first = replace(piece, joined=piece.joined.clear(), points=nothing)
            self._points = {name: FlatWriter(self._folder) for name in _named(piece.points)}
        self._errors.append(piece.errors)
        self._scales.append(piece.points.scale_N)
        self._widths.append(np.full(len(piece.points), piece.points.actual_NH.shape[1]))
        named = _named(piece.points)
        assert named.keys() == self._points.keys(), "one table of forecasts has the same columns throughout"
        for name, points_NH in named.items():
            self._points[name].append(points_NH.reshape(-1))

    def whole(self) -> Forecasted:
        """All pieces as one, series by name whatever the pieces were."""
        assert self._first is not None, "a panel has a piece"
        errors = pl.concat(self._errors).with_row_index("place").sort("unique_id")
        order, widths = errors["place"].to_numpy().astype(np.int64), np.concatenate(self._widths)
        points = {
            name: _wide(np.asarray(writer.finish()), widths, order, self._folder)
            for name, writer in self._points.items()
        }
        rows = self._rows.table()
        joined = rows.sort(KEYS) if isinstance(rows, pl.DataFrame) else rows
        return replace(
            self._first,
            errors=errors.drop("place"),
            joined=joined,
            points=Points(
                points["actual"],
                points["forecast"],
                np.concatenate(self._scales)[order],
                {
                    level: (points[f"lo-{level}"], points[f"hi-{level}"])
                    for level in sorted(self._first.points.intervals)
                },
                self._folder,
            ),
        )


def _named(points: Points) -> dict[str, Floats]:
    """The arrays (N, H) of points."""
    ends = {
        f"{end}-{level}": points_NH
        for level, both in points.intervals.items()
        for end, points_NH in zip(("lo", "hi"), both, strict=True)
    }
    return {"actual": points.actual_NH, "forecast": points.forecast_NH} | ends


def _wide(flat: Floats, widths: NDArray[np.int64], order: NDArray[np.int64], folder: Path) -> Floats:
    """(N, H) of rows of `widths` points end to end, taken in `order`; nan past a shorter one."""
    starts, longest = np.cumsum(widths) - widths, int(widths.max())
    if (widths == longest).all() and (np.diff(order) == 1).all():
        return flat.reshape(-1, longest)
    writer, steps = FlatWriter(folder), np.arange(longest)
    together = max(1, COPIED_VALUES // longest)
    for first in range(0, len(order), together):
        rows = order[first : first + together]
        inside = steps < widths[rows][:, None]
        places = np.where(inside, starts[rows][:, None] + steps, 0)
        writer.append(np.where(inside, flat[places], np.nan).reshape(-1))
    return np.asarray(writer.finish()).reshape(-1, longest)
