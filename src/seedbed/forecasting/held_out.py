"""Conformal intervals with nothing configured, and what they held on a horizon that they had not seen.

The backtest lies before the last horizon; what it calibrates is measured there. Only then do the errors of
that horizon join the calibration that is kept.
"""

from collections.abc import Callable, Sequence

import numpy as np

from seedbed.config import UserError
from seedbed.forecasting.backtest import BacktestConfig, Window, backtest
from seedbed.forecasting.conformal import Calibration, ConformalConfig, calibrate, covered, fewest
from seedbed.forecasting.fitting import Fitted
from seedbed.forecasting.panels import MIN_TRAIN, SeriesSet


def calibrated(
    last: Window, levels: Sequence[int], *, fit: Callable[[SeriesSet], Fitted]
) -> tuple[Calibration, str]:
    """The calibration to keep, and a line about coverage on `last`, the horizon held out.

    `last` was forecast by a fit on its whole history; `fit` is asked once more, for the backtest before it.
    """
    config = ConformalConfig(levels=tuple(levels))
    frequency = last.history.frequency
    planned = plan_backtest(last.history, levels)
    earlier = backtest(last.history, planned, fit=lambda series, behind: fit(series))
    before = calibrate(earlier, config, frequency=frequency)
    held = covered(before.around(last.forecasts, last.history), last.actual)
    shares = ", ".join(f"{level} % hold {100 * hits / max(1, n):.1f} %" for level, (hits, n) in held.items())
    points = max((n for _, n in held.values()), default=0)
    told = f"intervals of {shares} of {points} points held out, by {min(before.errors)} errors before them"
    return calibrate([*earlier, last], config, frequency=frequency), told


def plan_backtest(series: SeriesSet, levels: Sequence[int]) -> BacktestConfig:
    """The fewest windows that give errors enough for the highest level: a horizon apart, or else a point."""
    horizon, needed = series.config.horizon, max(fewest(level) for level in levels)
    most = 0
    for step in (horizon, 1):
        errors = 0
        for window in range(needed):
            more = int(np.sum(series.lengths - horizon - window * step >= MIN_TRAIN))
            errors += more
            if errors >= needed:
                return BacktestConfig(windows=window + 1, step=step)
            if not more:
                break
        most = max(most, errors)
    raise UserError(
        f"{series.frequency}: level {max(levels)} needs at least {needed} errors of a backtest at each "
        f"horizon, the series give {most} before their last {horizon} points; take a lower level, a shorter "
        "horizon, or leave levels out"
    )
