"""The forecasters every model is held against: naive, seasonal naive and Naive2.

Naive2 is the naive forecast of the seasonally adjusted series (Makridakis and Hibon 2000, M3; Makridakis
et al. 2020, M4), adjusted only where the seasonality is significant. The last two need every point: gaps are
bridged (`SeriesSet.bridged`).
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal

import numpy as np

from seedbed.config import Strict
from seedbed.forecasting.fitting import Curve, Fitting, Floats, Forecasts
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet

Rule = Literal["m4", "m3"]
"""How Naive2 judges and removes the season; see `is_seasonal` and `seasonal_indices`."""


def is_seasonal(history_T: Floats, *, seasonality: int, rule: Rule = "m4") -> bool:
    """Whether the autocorrelation at one season is significant.

    m4: of the values, beyond Bartlett's 90 % limit 1.645 sqrt((1 + 2 sum of squared lower ones) / n).
    m3: of the first differences, above 1.96 / sqrt(n - 1 - season). The M3 report does not print its test;
    this one was found by comparison with its published forecasts and agrees on 96 % of the series.
    Series shorter than three seasons, and those without variance, are not seasonal.
    """
    if seasonality == 1 or history_T.size < 3 * seasonality:
        return False
    # a power of two changes no digit, and the squares of 1e200 are no numbers
    history_T = np.ldexp(history_T, -np.frexp(np.abs(history_T).max())[1])
    tested_T = history_T if rule == "m4" else np.diff(history_T)
    centred_T = tested_T - tested_T.mean()
    variance = float(centred_T @ centred_T)
    if variance <= 0:
        return False
    correlations = np.asarray(
        [float(centred_T[lag:] @ centred_T[:-lag]) / variance for lag in range(1, seasonality + 1)]
    )
    if rule == "m3":
        return bool(correlations[-1] > 1.96 / np.sqrt(centred_T.size - seasonality))
    limit = 1.645 * np.sqrt((1 + 2 * float(np.sum(correlations[:-1] ** 2))) / history_T.size)
    return bool(abs(correlations[-1]) > limit)


def seasonal_indices(history_T: Floats, *, seasonality: int, rule: Rule = "m4") -> Floats | None:
    """Classical multiplicative indices by place in the season (place of the first point first), mean 1.

    Ratios to a centred moving average over one season, averaged by place: m4 all of them, m3 without the
    largest and the smallest where there are more than two. None where a ratio has no meaning: a moving
    average or an index that is not positive.
    """
    window = np.ones(seasonality) / seasonality
    if seasonality % 2 == 0:
        window = np.convolve(window, [0.5, 0.5])
    trend = np.convolve(history_T, window, mode="valid")
    reach = len(window) // 2
    if np.any(trend <= 0):
        return None
    ratios = history_T[reach : reach + trend.size] / trend
    places = np.arange(reach, reach + trend.size) % seasonality
    indices = np.asarray([_average(ratios[places == place], rule) for place in range(seasonality)])
    indices = indices / indices.mean()
    return None if np.any(indices <= 0) else indices


def _average(ratios: Floats, rule: Rule) -> float:
    kept = np.sort(ratios)[1:-1] if rule == "m3" and ratios.size > 2 else ratios
    return float(kept.mean())


def naive(history_T: Floats, *, horizon: int) -> Floats:
    """The last value."""
    return np.repeat(history_T[-1], horizon)


def seasonal_naive(history_T: Floats, *, horizon: int, seasonality: int) -> Floats:
    """The last season again and again; the last value where the history is shorter."""
    if history_T.size < seasonality:
        return naive(history_T, horizon=horizon)
    return np.resize(history_T[-seasonality:], horizon)


def naive2(history_T: Floats, *, horizon: int, seasonality: int, rule: Rule = "m4") -> Floats:
    """The last seasonally adjusted value, with the season put back."""
    if not is_seasonal(history_T, seasonality=seasonality, rule=rule):
        return naive(history_T, horizon=horizon)
    indices = seasonal_indices(history_T, seasonality=seasonality, rule=rule)
    if indices is None:
        return naive(history_T, horizon=horizon)
    length = history_T.size
    level = history_T[-1] / indices[(length - 1) % seasonality]
    return np.asarray(level * indices[(length + np.arange(horizon)) % seasonality])


class FittedBaseline:
    """A baseline: it learns each series anew when it forecasts."""

    def __init__(self, config: "Baseline") -> None:
        self._config = config
        self.curves: Curve = []

    def forecast(self, series: SeriesSet) -> Forecasts:
        return Forecasts(self._config.forecast(series))

    def save(self, path: Path) -> None:
        """There is nothing to keep beside the configuration."""


class Baseline(Strict, ABC):
    """What baselines share: nothing is trained."""

    def fit(self, series: SeriesSet, *, valid: SeriesSet | None, fitting: Fitting) -> FittedBaseline:
        return FittedBaseline(self)

    def load(self, path: Path, frequency: FrequencyConfig) -> FittedBaseline:
        return FittedBaseline(self)

    @abstractmethod
    def forecast(self, series: SeriesSet) -> Floats:
        """(N, H)"""


class NaiveConfig(Baseline):
    """The last known value."""

    name: Literal["naive"]

    def forecast(self, series: SeriesSet) -> Floats:
        last_N = np.asarray([series.last_known(i) for i in range(len(series))])
        return np.repeat(last_N[:, None], series.config.horizon, axis=1)


class Naive2Config(Baseline):
    """Naive on seasonally adjusted series, as M4 or M3 define it."""

    name: Literal["naive2"]
    rule: Rule = "m4"

    def forecast(self, series: SeriesSet) -> Floats:
        horizon, seasonality = series.config.horizon, series.config.seasonality
        return np.stack(
            [
                naive2(series.bridged(i), horizon=horizon, seasonality=seasonality, rule=self.rule)
                for i in range(len(series))
            ]
        )


class SeasonalNaiveConfig(Baseline):
    """The value one season ago; the last value where there is less than a season."""

    name: Literal["seasonal_naive"]

    def forecast(self, series: SeriesSet) -> Floats:
        horizon, seasonality = series.config.horizon, series.config.seasonality
        return np.stack(
            [
                seasonal_naive(series.bridged(i), horizon=horizon, seasonality=seasonality)
                for i in range(len(series))
            ]
        )
