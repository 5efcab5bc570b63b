"""Statistical models of each series by itself, as statsforecast makes them: Theta, ETS, ARIMA.

Theta: Assimakopoulos and Nikolopoulos (2000), the standard method, as in M3. ETS: the exponential smoothing
with the lowest corrected AIC (Hyndman et al. 2008). ARIMA: Hyndman and Khandakar (2008). Seasons are those of
the panel; a series shorter than two of them is taken as not seasonal. Theta and ETS refuse series of fewer
than four points, ARIMA takes any. ARIMA costs about half a second a series, ETS a thirtieth.

This file is the library's only door: importing it costs seconds, so functions do.
Shape legend: N series, T history, H horizon.
"""

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.forecasting.baselines import naive2
from seedbed.forecasting.fitting import Curve, Fitting, Floats, Forecasts, Level
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet

Model = Literal["theta", "ets", "auto_arima"]

SERIES_PER_PROCESS = 200
"""Fewer are done sooner than another process has imported the library."""
NAMED = 5
"""Series that a message names."""

One = tuple[Floats, dict[int, tuple[Floats, Floats]]]
"""Of a series: the mean, and by level the ends of its interval."""


class FittedStatistical:
    """Fits each series anew when it forecasts; series are independent, so processes change no number."""

    def __init__(self, config: "StatisticalConfig", *, processes: int = 1, label: str = "forecast") -> None:
        self._config, self._processes, self._label = config, processes, label
        self.curves: Curve = []

    def forecast(self, series: SeriesSet) -> Forecasts:
        histories = [series.bridged(i) for i in range(len(series))]
        job = self._config.model, series.config, self._config.levels
        parts = min(self._processes, max(1, len(series) // SERIES_PER_PROCESS))
        if parts == 1:
            found = _forecast(*job, histories)
        else:
            shares = [histories[first::parts] for first in range(parts)]
            with ProcessPoolExecutor(parts, mp_context=get_context("spawn")) as pool:
                done = list(pool.map(_forecast, *zip(*[job] * parts, strict=True), shares))
            found = [done[i % parts][i // parts] for i in range(len(series))]
        return self._gather(series, found)

    def _gather(self, series: SeriesSet, found: Sequence[One | str]) -> Forecasts:
        failed = {series.ids[i]: one for i, one in enumerate(found) if isinstance(one, str)}
        if failed:
            names = ", ".join(list(failed)[:NAMED]) + (", ..." if len(failed) > NAMED else "")
            told = f"{len(failed)} of {len(found)} series ({names}): {next(iter(failed.values()))}"
            if self._config.on_failure == "stop":
                raise UserError(
                    f"{self._label}: {self._config.model} failed on {told}; leave them out of the panel, or "
                    "set forecaster.on_failure to naive2"
                )
            print(f"{self._label}: naive2 instead of {self._config.model} for {told}", file=sys.stderr)
        whole = [self._instead(series, i) if isinstance(one, str) else one for i, one in enumerate(found)]
        intervals = {
            level: (
                np.stack([one[1][level][0] for one in whole]),
                np.stack([one[1][level][1] for one in whole]),
            )
            for level in self._config.levels
        }
        return Forecasts(np.stack([one[0] for one in whole]), intervals=intervals)

    def _instead(self, series: SeriesSet, index: int) -> One:
        """Naive2, which has no interval: nan."""
        horizon, season = series.config.horizon, series.config.seasonality
        unknown_H = np.full(horizon, np.nan)
        mean_H = naive2(series.bridged(index), horizon=horizon, seasonality=season)
        return mean_H, dict.fromkeys(self._config.levels, (unknown_H, unknown_H))

    def save(self, path: Path) -> None:
        """There is nothing to keep beside the configuration."""


class StatisticalConfig(Strict):
    """A model of statsforecast, fitted to each series by itself."""

    name: Literal["statistical"]
    model: Model
    levels: tuple[Level, ...] = Field((), description="of the model's own intervals; none without")
    on_failure: Literal["stop", "naive2"] = Field(
        "stop",
        description="what becomes of a series the model fails on: an error, or Naive2 without interval",
    )

    def fit(self, series: SeriesSet, *, valid: SeriesSet | None, fitting: Fitting) -> FittedStatistical:
        return FittedStatistical(self, processes=fitting.machine.threads, label=fitting.label)

    def load(self, path: Path, frequency: FrequencyConfig) -> FittedStatistical:
        return FittedStatistical(self)


def _forecast(
    model: Model, config: FrequencyConfig, levels: Sequence[int], histories: Sequence[Floats]
) -> list[One | str]:
    """Of each series its forecast, or why there is none."""
    import warnings

    from statsforecast.models import AutoARIMA, AutoETS, Theta

    build = {"theta": Theta, "ets": AutoETS, "auto_arima": AutoARIMA}[model]
    asked = sorted(levels) or None
    found: list[One | str] = []
    for history_T in histories:
        try:
            # short histories: the library tells of each division by zero in its candidates
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                made: Mapping[str, Floats] = build(season_length=config.seasonality).forecast(
                    y=history_T, h=config.horizon, level=asked
                )
        except Exception as error:  # noqa: BLE001 - the library raises bare Exceptions; the series is named above
            found.append(f"{type(error).__name__}: {error}")
            continue
        mean_H = np.asarray(made["mean"], np.float64)
        ends = {
            level: (np.asarray(made[f"lo-{level}"], np.float64), np.asarray(made[f"hi-{level}"], np.float64))
            for level in levels
        }
        found.append((mean_H, ends) if np.isfinite(mean_H).all() else "a forecast is not finite")
    return found
