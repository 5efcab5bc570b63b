"""A backtest collected piece by piece tells what the windows as a whole tell, and holds no more than a piece."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seedbed.data import spool
from seedbed.forecasting import collected as module
from seedbed.forecasting.backtest import BacktestConfig, backtest, cross_validation, origins
from seedbed.forecasting.baselines import FittedBaseline
from seedbed.forecasting.collected import Collected
from seedbed.forecasting.conformal import ConformalConfig, calibrate
from seedbed.forecasting.fitting import Forecasts
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet, pieces
from tests.forecasting.test_backtest import fit_of, scores

CONFORMAL = ConformalConfig(levels=(50, 80))
PLAN = BacktestConfig(windows=3, step=2)


@pytest.fixture
def panel() -> SeriesSet:
    """Nine random walks; the first and the fourth are too short for the earliest window."""
    rng = np.random.default_rng(0)
    lengths = [9, 30, 30, 9, 31, 30, 28, 30, 30]
    config = FrequencyConfig(step="1i", horizon=4, seasonality=1)
    walks = [np.cumsum(rng.normal(size=length)) for length in lengths]
    return SeriesSet.counted("daily", config, [f"시계열-{i}" for i in range(len(walks))], walks)


@pytest.mark.parametrize("rows", [10, 1000])
def test_it_tells_what_the_whole_windows_tell(
    panel: SeriesSet, tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = fit_of({"name": "naive"}, tmp_path)
    windows = backtest(panel, PLAN, fit=fit)
    monkeypatch.setattr(pieces, "PIECE_POINTS", 60)
    monkeypatch.setattr(spool, "ROWS_IN_MEMORY", rows)
    monkeypatch.setattr(module, "SERIES_SORTED", 2)
    found = Collected(tmp_path / "own", column="naive", conformal=CONFORMAL)
    for origin in origins(panel, PLAN, fit=fit):
        found.add(origin)
    tables = list(found.tables())
    assert (len(tables) > 1) == (rows == 10)
    assert pl.concat(tables).equals(cross_validation(windows, column="naive"))
    assert found.scores() == scores(windows)
    whole, parts = calibrate(windows, CONFORMAL, frequency="daily"), found.calibration()
    assert parts.errors == whole.errors
    for level, half_H in whole.half_widths.items():
        # a scale's last bits come from how many series its sum stands among
        np.testing.assert_allclose(parts.half_widths[level], half_H, rtol=1e-14)


def test_a_forecaster_is_asked_for_a_piece_at_a_time(
    panel: SeriesSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    forecast = FittedBaseline.forecast

    def counted(self: FittedBaseline, series: SeriesSet) -> Forecasts:
        asked.append(len(series.values))
        return forecast(self, series)

    monkeypatch.setattr(FittedBaseline, "forecast", counted)
    monkeypatch.setattr(pieces, "PIECE_POINTS", 60)
    found = Collected(tmp_path / "own", column="naive", conformal=None)
    for origin in origins(panel, PLAN, fit=fit_of({"name": "naive"}, tmp_path)):
        found.add(origin)
    assert len(asked) >= 9 and max(asked) <= 60
