"""The baselines that stand beside every forecaster in a report, whether or not a run makes them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed.config import Machine
from seedbed.forecasting import Forecaster
from seedbed.forecasting.backtest import BacktestConfig, backtest, windows_within
from seedbed.forecasting.baselines import Naive2Config, NaiveConfig, SeasonalNaiveConfig
from seedbed.forecasting.fitting import Fitted, Fitting
from seedbed.forecasting.panels import SeriesSet
from seedbed.forecasting.saved import forecast_table
from seedbed.forecasting.statistical import StatisticalConfig
from seedbed.tracking import SilentRun

if TYPE_CHECKING:
    import polars as pl

LEVELS = (80, 95)
"""Of the intervals of models that have any."""
BASELINES: Mapping[str, Forecaster] = {
    "naive": NaiveConfig(name="naive"),
    "seasonal_naive": SeasonalNaiveConfig(name="seasonal_naive"),
    "naive2": Naive2Config(name="naive2"),
    "theta": StatisticalConfig(name="statistical", model="theta", levels=LEVELS, on_failure="naive2"),
    "ets": StatisticalConfig(name="statistical", model="ets", levels=LEVELS, on_failure="naive2"),
    "auto_arima": StatisticalConfig(
        name="statistical", model="auto_arima", levels=LEVELS, on_failure="naive2"
    ),
}


def baselines_beside(
    asked: Iterable[str], source: str, *, runs: Mapping[str, Forecaster], taken: set[str]
) -> dict[str, Forecaster]:
    """By name the baselines `asked` for that none of the panel's `runs` is by its kind; a name says nothing.

    `taken` are the names of other panels' forecasters; those given here are added.
    """
    there, found = {kind_of(one) for one in runs.values()}, dict[str, Forecaster]()
    taken |= set(runs)
    for kind in asked:
        if kind in there:
            continue
        free = (f"{kind}-{source}" + (f"-{i}" if i > 1 else "") for i in count(1))
        name = next(name for name in free if name not in taken)
        taken.add(name)
        found[name] = BASELINES[kind]
    return found


def kind_of(forecaster: Forecaster) -> str:
    """A baseline's name among BASELINES; of others what the catalogue calls them."""
    return forecaster.model if forecaster.name == "statistical" else forecaster.name


@dataclass(frozen=True)
class Means:
    """What a baseline is called, and what it is fitted with."""

    name: str
    machine: Machine
    scratch: Path


def forecast_beside(forecaster: Forecaster, series: SeriesSet, *, means: Means) -> "pl.DataFrame":
    """A baseline's table of forecasts."""
    return forecast_table(series, _fit(forecaster, series, means).forecast(series), column=means.name)


def backtest_beside(
    forecaster: Forecaster, series: SeriesSet, config: BacktestConfig, *, means: Means
) -> Iterator["pl.DataFrame"]:
    """A baseline's errors at the cutoffs of a run's backtest, as `origin_errors` gives them.

    `series` may be some of the run's alone: a window for which all of them are too short has none of them.
    """
    windows = windows_within(series, config)
    if not windows:
        return
    own = config.model_copy(update={"windows": windows})
    for window in backtest(series, own, fit=lambda history, _: _fit(forecaster, history, means)):
        table = forecast_table(window.history, window.forecasts, column=means.name)
        yield origin_errors(table.with_columns(y=np.asarray(window.actual.values)).lazy(), means.name)


def origin_errors(validation: "pl.LazyFrame", column: str) -> "pl.DataFrame":
    """Of a cross-validation table the mean absolute error over the horizon, by series and cutoff."""
    import polars as pl

    error = (pl.col("y") - pl.col(column)).abs().fill_nan(None).mean().alias("error")
    return (
        validation.group_by("unique_id", "frequency", "cutoff")
        .agg(error)
        .sort("unique_id", "cutoff")
        .collect(engine="streaming")
    )


def _fit(forecaster: Forecaster, series: SeriesSet, means: Means) -> Fitted:
    fitting = Fitting(None, means.machine, means.scratch, SilentRun(), f"evaluate {means.name}")
    return forecaster.fit(series, valid=None, fitting=fitting)
