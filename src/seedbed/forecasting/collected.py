"""The backtest of a panel of any size: rows and errors are collected piece by piece, on disk where many.

Shape legend: N series, W windows of them, H horizon.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed.data.flat import FlatWriter
from seedbed.data.spool import Spool
from seedbed.forecasting.backtest import ORDER, Origin, mean_scores, window_table
from seedbed.forecasting.conformal import Calibration, ConformalConfig, of_errors, scaled_errors
from seedbed.forecasting.fitting import Floats, errors, mean_errors

if TYPE_CHECKING:
    import polars as pl

SERIES_SORTED = 4096
"""Series whose rows are put in order together where the table is on disk."""


class Collected:
    """What is told of one frequency's backtest. `column`: the forecaster's, `folder`: its own."""

    def __init__(self, folder: Path, *, column: str, conformal: ConformalConfig | None) -> None:
        self._folder, self._column, self._conformal = folder, column, conformal
        self._frequency = ""
        self._spools: list[Spool] = []
        self._ids: tuple[str, ...] = ()
        self._scores: list[dict[str, float]] = []
        self._errors = FlatWriter(folder / "errors")
        self._horizon = 0

    def add(self, origin: Origin) -> None:
        """The window of a cutoff; the last one added has the most series."""
        spool = Spool(self._folder / str(len(self._spools)))
        found: list[tuple[Floats, Floats]] = []
        for window in origin.pieces():
            spool.add(window_table(window, column=self._column))
            values_NH = window.forecasts.values_NH
            found.append(errors(values_NH, window.actual, history=window.history))
            if self._conformal is not None:
                self._errors.append(scaled_errors(window).reshape(-1))
            self._frequency, self._horizon = window.history.frequency, values_NH.shape[1]
        smapes, mases = zip(*found, strict=True)
        self._scores.append(mean_errors(np.concatenate(smapes), np.concatenate(mases)))
        self._spools.append(spool)
        self._ids = origin.history.ids

    def scores(self) -> dict[str, float]:
        """sMAPE and MASE, means over windows."""
        return mean_scores(self._scores)

    def calibration(self) -> Calibration:
        """UserError where there are too few errors for a level."""
        assert self._conformal is not None
        errors_WH = np.asarray(self._errors.finish()).reshape(-1, self._horizon)
        return of_errors(errors_WH, self._conformal, frequency=self._frequency)

    def tables(self) -> Iterator["pl.DataFrame"]:
        """The table of `backtest.cross_validation` in parts that follow one another."""
        import polars as pl

        tables = [spool.table() for spool in self._spools]
        if all(isinstance(table, pl.DataFrame) for table in tables):
            yield pl.concat([table.lazy() for table in tables]).sort(ORDER).collect()
            return
        names = sorted(self._ids)
        for first in range(0, len(names), SERIES_SORTED):
            some = names[first : first + SERIES_SORTED]
            within = pl.col("unique_id").is_between(pl.lit(some[0]), pl.lit(some[-1]))
            yield pl.concat([table.lazy().filter(within) for table in tables]).sort(ORDER).collect()
