"""Intervals of one command: the backtest they need, that their coverage is measured on what they have not seen."""

from pathlib import Path

import numpy as np
import pytest

from seedbed.config import UserError
from seedbed.forecasting.backtest import Window
from seedbed.forecasting.held_out import calibrated, plan_backtest
from seedbed.forecasting.panels import SeriesSet, train_and_valid
from tests.forecasting.test_backtest import fit_of
from tests.forecasting.test_conformal import panel


def walks(count: int, length: int, seed: int = 0) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).normal(size=(count, length)), axis=1)


def test_the_backtest_has_the_fewest_windows_that_do() -> None:
    found = [plan_backtest(panel(walks(n, 60)), [80, 95]) for n in (19, 18, 10, 1)]
    assert [(one.windows, one.step) for one in found] == [(1, 3), (2, 3), (2, 3), (19, 3)]
    tight = plan_backtest(panel(walks(1, 23)), [95])
    assert (tight.windows, tight.step) == (19, 1)
    with pytest.raises(UserError, match=r"daily: level 95 needs at least 19 errors .* the series give 18 "):
        plan_backtest(panel(walks(1, 22)), [95])


def window(series: SeriesSet, scratch: Path) -> Window:
    train, valid = train_and_valid(series)
    return Window(train, valid, fit_of({"name": "naive"}, scratch)(train, 0).forecast(train))


def test_coverage_is_measured_before_the_horizon_is_learned_from(tmp_path: Path) -> None:
    """After a jump in the last horizon alone nothing is covered, though the kept calibration knows it."""
    values = walks(40, 60)
    values[:, -3:] += 1000
    naive = fit_of({"name": "naive"}, tmp_path)
    kept, told = calibrated(window(panel(values), tmp_path), [80, 95], fit=lambda series: naive(series, 0))
    assert told == (
        "intervals of 80 % hold 0.0 %, 95 % hold 0.0 % of 120 points held out, by 40 errors before them"
    )
    assert kept.errors == (80, 80, 80) and min(kept.half_widths[80]) > 100


def test_coverage_of_exchangeable_series_is_as_promised(tmp_path: Path) -> None:
    naive = fit_of({"name": "naive"}, tmp_path)
    told = calibrated(window(panel(walks(2000, 40)), tmp_path), [80], fit=lambda series: naive(series, 0))[1]
    share = float(told.split("hold ")[1].split(" %")[0])
    # 6,000 points of 2,000 walks: a deviation near 0.8 %
    assert abs(share - 80) < 2.5 and told.endswith("of 6000 points held out, by 2000 errors before them")
