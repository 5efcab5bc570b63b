"""Rolling origins of a frame with nothing configured: the default forecaster as it would have done before."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from seedbed.config import Machine
from seedbed.forecasting.asked import as_table
from seedbed.forecasting.backtest import BacktestConfig, backtest, cross_validation
from seedbed.forecasting.default import default_models, default_training
from seedbed.forecasting.direct import TableOptions, gathered
from seedbed.forecasting.fitting import Fitted, Fitting
from seedbed.forecasting.panels import SeriesSet
from seedbed.tracking import SilentRun

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class OriginOptions(TableOptions):
    """What may be said of a table and of the origins, in the words of Nixtla's `cross_validation`."""

    n_windows: int = Field(
        1, ge=1, description="cutoffs of each series; the last is a horizon before its end"
    )
    step_size: int | None = Field(None, ge=1, description="points between cutoffs; a horizon unless told")
    refit: bool = Field(False, description="fit again at each cutoff; otherwise once, at the first")

    @model_validator(mode="after")
    def _no_intervals(self) -> Self:
        if self.levels:
            raise ValueError("levels: intervals come with forecasts, not with origins; leave levels out")
        return self


def cross_validate_frame(
    frame: "pd.DataFrame | pl.DataFrame", *, machine: Machine | None = None, **options: Any
) -> "pd.DataFrame | pl.DataFrame":
    """unique_id, ds, cutoff, y and a column for each model, at each cutoff; frames as for `forecast_frame`.

    `options` are those of `OriginOptions`: horizon=12, n_windows=3, step_size=6, refit=True ... A series too
    short for a cutoff is not in that window. Gaps, series left out and columns not read are warned of.
    """
    import polars as pl

    chosen = OriginOptions.parse(
        {key: value.tolist() if hasattr(value, "tolist") else value for key, value in options.items()},
        "cross_validate_frame",
    )
    table = chosen.renamed(as_table(frame), "frame")
    given = gathered(table, chosen, where="frame", needs_test=True)
    for line in given.notices:
        warnings.warn(f"frame: {line}", stacklevel=2)
    _, models = default_models(given.sets, given.covariates)
    plan = BacktestConfig(windows=chosen.n_windows, step=chosen.step_size, refit=chosen.refit)
    training = default_training(max_steps=chosen.max_steps, seed=chosen.seed)
    keys, found = ["unique_id", "ds", "cutoff", "y"], []
    with TemporaryDirectory() as scratch:
        for one in given.sets:
            parts = []
            for name, forecaster in models.items():

                def fit(part: SeriesSet, behind: int, *, name: str = name, own: Any = forecaster) -> Fitted:
                    where = Path(scratch) / part.frequency / name / str(behind)
                    label = f"{part.frequency} {name}, {behind} points before the end"
                    fitting = Fitting(training, machine or Machine(), where, SilentRun(), label)
                    fitted: Fitted = own.fit(part, valid=None, fitting=fitting)
                    return fitted

                rows = cross_validation(backtest(one, plan, fit=fit), column=name)
                parts.append(rows.select(*keys, name))
            first, *others = parts
            found.append(
                pl.concat([first, *(part.select(part.columns[-1]) for part in others)], how="horizontal")
            )
    rows = (
        chosen.restored(pl.concat(found))
        .with_columns(pl.col("y").fill_nan(None))
        .rename({"y": chosen.target_col})
    )
    return rows if isinstance(frame, pl.DataFrame) else rows.to_pandas()
