"""Prediction intervals for any forecaster, from the errors of its backtest.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018, section 2.2) over the series of a panel, each
horizon for itself: the errors of a backtest, each over the scale of its series (MASE's, up to the cutoff),
are the calibration set; an interval's half-width is their quantile times the series' own scale. If series are
exchangeable and the future is like the backtest, intervals hold their share of the values on average over
series; the second never quite holds, so the report measures what was covered.

Shape legend: N series, W windows, H horizon.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from pydantic import Field

from seedbed import metrics
from seedbed.config import Strict, UserError
from seedbed.forecasting.backtest import Window
from seedbed.forecasting.fitting import Floats, Forecasts, Level
from seedbed.forecasting.panels import SeriesSet


class ConformalConfig(Strict):
    """Intervals from the errors of the backtest."""

    levels: tuple[Level, ...] = Field(min_length=1)


class Calibration(Strict):
    """What a backtest's errors say of one frequency: how wide an interval is at each horizon."""

    errors: tuple[int, ...] = Field(description="known errors of the backtest at each horizon")
    half_widths: dict[Level, tuple[float, ...]] = Field(description="by level, over the series' own scale")

    def around(self, forecasts: Forecasts, series: SeriesSet) -> Forecasts:
        """The forecasts after `series`, with intervals; nan for a series that never moved."""
        scales_N1 = _scales(series)[:, None]
        intervals = {}
        for level, half_H in self.half_widths.items():
            half_NH = scales_N1 * np.asarray(half_H)
            intervals[level] = (forecasts.values_NH - half_NH, forecasts.values_NH + half_NH)
        return replace(forecasts, intervals={**forecasts.intervals, **intervals})


def calibrate(windows: Sequence[Window], config: ConformalConfig, *, frequency: str) -> Calibration:
    """UserError where the backtest has too few errors for a level; see `fewest`."""
    return of_errors(
        np.concatenate([scaled_errors(window) for window in windows]), config, frequency=frequency
    )


def of_errors(errors_WH: Floats, config: ConformalConfig, *, frequency: str) -> Calibration:
    """`calibrate` from what `scaled_errors` gives of all windows."""
    return Calibration(
        errors=tuple(int((~np.isnan(errors)).sum()) for errors in errors_WH.T),
        half_widths={level: _half_widths(errors_WH, level, frequency) for level in config.levels},
    )


def fewest(level: int) -> int:
    """The fewest errors whose quantile exists: the (n + 1) level-th of n must be one of them."""
    return math.ceil(level / (100 - level))


def covered(forecasts: Forecasts, actual: SeriesSet) -> Mapping[int, tuple[int, int]]:
    """By level how many known points of the horizon lie in their interval, and of how many."""
    actual_NH = actual.values.reshape(forecasts.values_NH.shape)
    counts = {}
    for level, (low_NH, high_NH) in sorted(forecasts.intervals.items()):
        inside_NH = metrics.quantiles.inside(actual_NH, low=low_NH, high=high_NH)
        counts[level] = (int(np.nansum(inside_NH)), int((~np.isnan(inside_NH)).sum()))
    return counts


def scaled_errors(window: Window) -> Floats:
    """(N, H) absolute errors over the scale of what was known; nan where there is no scale."""
    actual_NH = window.actual.values.reshape(window.forecasts.values_NH.shape)
    return np.abs(actual_NH - window.forecasts.values_NH) / _scales(window.history)[:, None]


def _scales(series: SeriesSet) -> Floats:
    histories = metrics.padded([series.series(i) for i in range(len(series))])
    scales_N = metrics.naive_scale(histories, seasonality=series.config.seasonality, scale="gluonts")
    # a series that repeats its season to the digit still moves
    scales_N = np.where(scales_N > 0, scales_N, metrics.naive_scale(histories, seasonality=1))
    return np.where(scales_N > 0, scales_N, np.nan)


def _half_widths(errors_WH: Floats, level: int, frequency: str) -> tuple[float, ...]:
    """(H,): the ceil((n + 1) level)-th smallest of the n known errors at each horizon."""
    made = []
    for errors in errors_WH.T:
        known = np.sort(errors[~np.isnan(errors)])
        # in whole per cents: 0.9 x 10 must not become 9.000000000000002
        rank = -(-(known.size + 1) * level // 100)
        if rank > known.size:
            raise UserError(
                f"conformal intervals of {frequency}: level {level} needs at least "
                f"{fewest(level)} errors at each horizon, the backtest has {known.size}; "
                "take more backtest windows or a lower level"
            )
        made.append(float(known[rank - 1]))
    return tuple(made)
