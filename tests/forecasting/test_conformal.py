"""Conformal intervals: their quantile by hand, their share of exchangeable series, M3 measured, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed import metrics
from seedbed.config import UserError
from seedbed.forecasting.backtest import BacktestConfig, backtest
from seedbed.forecasting.conformal import ConformalConfig, calibrate
from seedbed.forecasting.fitting import Forecasts
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from tests.forecasting.test_backtest import fit_of
from tests.forecasting.test_statistical import of_m3
from tests.metrics.m3 import needs_m3


def panel(values_NT: np.ndarray, *, horizon: int = 3) -> SeriesSet:
    config = FrequencyConfig(step="1i", horizon=horizon, seasonality=1)
    return SeriesSet.counted("daily", config, [f"s{i}" for i in range(len(values_NT))], list(values_NT))


def intervals(
    series: SeriesSet, levels: list[int], forecaster: dict[str, Any], scratch: Path, windows: int = 1
) -> Forecasts:
    fit = fit_of(forecaster, scratch)
    tested = backtest(series, BacktestConfig(windows=windows), fit=fit)
    config = ConformalConfig.parse({"levels": levels}, "conformal")
    return calibrate(tested, config, frequency="daily").around(fit(series, 0).forecast(series), series)


def test_half_widths_by_hand(tmp_path: Path) -> None:
    """Nine series that step by one, then jump by 1..9 scales: the 9th of 9 is the quantile of level 90."""
    values = np.tile(np.arange(12.0), (9, 1))
    values[:, 9:] = 8 + np.arange(1.0, 10)[:, None]
    series = panel(values)
    found = intervals(series, [50, 90], {"name": "naive"}, tmp_path)
    scales = metrics.naive_scale(values, seasonality=1)
    for level, error in ((50, 5), (90, 9)):
        low_NH, high_NH = found.intervals[level]
        np.testing.assert_allclose(high_NH - found.values_NH, np.tile(error * scales[:, None], 3))
        np.testing.assert_allclose(found.values_NH - low_NH, high_NH - found.values_NH)


def test_too_few_errors_are_refused_with_the_number_needed(tmp_path: Path) -> None:
    series = panel(np.cumsum(np.random.default_rng(0).normal(size=(8, 20)), axis=1))
    with pytest.raises(
        UserError, match="of daily: level 90 needs at least 9 errors at each horizon, the backtest has 8"
    ):
        intervals(series, [90], {"name": "naive"}, tmp_path)
    found = intervals(series, [90], {"name": "naive"}, tmp_path, windows=2)
    assert np.isfinite(found.intervals[90][0]).all()


def test_a_series_that_never_moved_has_no_interval(tmp_path: Path) -> None:
    values = np.cumsum(np.random.default_rng(0).normal(size=(12, 20)), axis=1)
    values[4] = 7.0
    low_NH, _ = intervals(panel(values), [80], {"name": "naive"}, tmp_path).intervals[80]
    assert np.flatnonzero(np.isnan(low_NH[:, 0])).tolist() == [4]


def test_exchangeable_series_are_covered_as_promised(tmp_path: Path) -> None:
    """Random walks of very different sizes: 400 panels of 19 series, at each horizon the level, no more."""
    rng = np.random.default_rng(5)
    hits = np.zeros((2, 3))
    count = 0
    naive = fit_of({"name": "naive"}, tmp_path)
    config = ConformalConfig.parse({"levels": [80, 90]}, "conformal")
    for _ in range(400):
        walks = np.cumsum(rng.standard_t(4, size=(19, 63)), axis=1) * 10 ** rng.uniform(-2, 4, (19, 1))
        series = panel(walks[:, :60])
        tested = backtest(series, BacktestConfig(), fit=naive)
        found = calibrate(tested, config, frequency="daily").around(naive(series, 0).forecast(series), series)
        for row, level in enumerate((80, 90)):
            low_NH, high_NH = found.intervals[level]
            actual_NH = walks[:, 60:]
            hits[row] += ((low_NH <= actual_NH) & (actual_NH <= high_NH)).sum(0)
        count += 19
    # 16 of 20 and 18 of 20 exactly; the deviation of 7,600 draws that share 400 calibrations is near 0.006
    np.testing.assert_allclose(hits / count, [[0.8] * 3, [0.9] * 3], atol=0.02)


@needs_m3
def test_theta_on_m3_is_covered_nearly_as_promised(tmp_path: Path) -> None:
    """Intervals from the last horizon before the test part, measured on it: yearly series, 645 of them."""
    series, actual_NH = of_m3("YEARLY", 6)
    found = intervals(
        series, [80, 95], {"name": "statistical", "model": "theta", "on_failure": "naive2"}, tmp_path
    )
    covered = {
        level: metrics.coverage(actual_NH.T, low=low_NH.T, high=high_NH.T)
        for level, (low_NH, high_NH) in found.intervals.items()
    }
    # histories a horizon shorter err more, so intervals are a little too wide
    assert ((covered[80] > 0.8) & (covered[80] < 0.9)).all()
    assert ((covered[95] > 0.95) & (covered[95] < 0.98)).all()
