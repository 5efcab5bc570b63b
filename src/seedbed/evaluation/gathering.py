"""A forecaster scored piece by piece: errors and points are kept, rows go to disk where they are many."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from seedbed.data.spool import Spool
from seedbed.evaluation.intervals import Floats
from seedbed.evaluation.series import KEYS, Forecasted, Points


class Gathering:
    """Pieces of one forecaster of one panel."""

    def __init__(self, folder: Path) -> None:
        self._pieces: list[Forecasted] = []
        self._rows = Spool(folder)

    def add(self, piece: Forecasted) -> None:
        assert isinstance(piece.joined, pl.DataFrame)
        self._rows.add(piece.joined)
        self._pieces.append(replace(piece, joined=piece.joined.clear()))

    def whole(self) -> Forecasted:
        """All pieces as one, series by name whatever the pieces were."""
        errors = pl.concat([one.errors for one in self._pieces]).with_row_index("place").sort("unique_id")
        points = _joined([one.points for one in self._pieces], errors["place"].to_numpy())
        rows = self._rows.table()
        joined = rows.sort(KEYS) if isinstance(rows, pl.DataFrame) else rows
        return replace(self._pieces[0], errors=errors.drop("place"), joined=joined, points=points)


def _joined(pieces: list[Points], order: Floats) -> Points:
    width = max(one.actual_NH.shape[1] for one in pieces)

    def wide(parts: list[Floats]) -> Floats:
        rows = [np.pad(one, ((0, 0), (0, width - one.shape[1])), constant_values=np.nan) for one in parts]
        return np.asarray(np.concatenate(rows)[order])

    levels = sorted({level for one in pieces for level in one.intervals})
    return Points(
        wide([one.actual_NH for one in pieces]),
        wide([one.forecast_NH for one in pieces]),
        np.concatenate([one.scale_N for one in pieces])[order],
        {
            level: (
                wide([one.intervals[level][0] for one in pieces]),
                wide([one.intervals[level][1] for one in pieces]),
            )
            for level in levels
        },
    )
