"""Models of statsforecast as forecasters: the library's own numbers, its published rank, its failures named."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed import metrics
from seedbed.config import Machine, UserError
from seedbed.forecasting import statistical
from seedbed.forecasting.fitting import Forecasts
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from seedbed.forecasting.saved import forecast_table
from seedbed.forecasting.statistical import FittedStatistical, StatisticalConfig
from tests.forecasting.panels import FREQUENCIES, load, rows, table, working_days
from tests.metrics.m3 import PERIODS, m3, needs_m3


def config(model: str, **changed: Any) -> StatisticalConfig:
    return StatisticalConfig.parse({"name": "statistical", "model": model, **changed}, "forecaster")


def fitted(model: str, *, threads: int = 1, **changed: Any) -> FittedStatistical:
    fitting: Any = SimpleNamespace(machine=Machine(threads=threads), label="forecast theta-mine yearly")
    return config(model, **changed).fit(SimpleNamespace(), valid=None, fitting=fitting)  # type: ignore[arg-type]


@pytest.fixture
def quarters(tmp_path: Path) -> SeriesSet:
    return load(tmp_path, table()).sets("history")[1]


@pytest.mark.parametrize("model", ["theta", "ets", "auto_arima"])
def test_it_is_statsforecasts_table(model: str, quarters: SeriesSet) -> None:
    """Means and intervals, through the library's own panel interface."""
    from statsforecast import StatsForecast
    from statsforecast.models import AutoARIMA, AutoETS, Theta

    found = fitted(model, levels=[80, 95]).forecast(quarters)
    own = {"theta": Theta, "ets": AutoETS, "auto_arima": AutoARIMA}[model](season_length=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = StatsForecast([own], freq="1q").forecast(
            df=quarters.frame().drop("frequency"), h=4, level=[80, 95]
        )
    name = type(own).__name__
    ours = forecast_table(quarters, found, column=name)
    columns = [name, *(f"{name}-{end}-{level}" for level in (80, 95) for end in ("lo", "hi"))]
    assert [column for column in ours.columns if column.startswith(name)] == columns
    assert ours["unique_id"].to_list() == theirs["unique_id"].to_list()
    for column in columns:
        np.testing.assert_allclose(ours[column].to_numpy(), theirs[column].to_numpy(), rtol=1e-6)
    again = fitted(model, levels=[80, 95]).forecast(quarters)
    assert again.values_NH.tobytes() == found.values_NH.tobytes()
    assert again.intervals[95][0].tobytes() == found.intervals[95][0].tobytes()


def test_without_levels_there_are_no_intervals(quarters: SeriesSet) -> None:
    assert fitted("theta").forecast(quarters).intervals == {}
    with pytest.raises(UserError, match=r"levels\.0.* less than or equal to 99"):
        config("theta", levels=[100])


@pytest.mark.parametrize("model", ["theta", "ets"])
def test_working_days_go_on_from_the_last_week(model: str) -> None:
    series = working_days(196)
    (found_H,) = fitted(model).forecast(series).values_NH
    last = np.nanmax(series.series(0))
    assert found_H.min() >= 0.9 * last and found_H.max() <= 1.2 * last


def failing(tmp_path: Path) -> SeriesSet:
    """Two series that Theta fails on, of three."""
    frame = pl.concat(
        rows(f"나라-{i}", "yearly", values)
        for i, values in enumerate(
            [[1.0, 2, 3, 9, 9, 9], [4.0, 5, 4, 6, 5, 7, 6, 9, 9, 9], [3.0, 1, 2, 9, 9, 9]]
        )
    )
    frequencies = {"yearly": {**FREQUENCIES["yearly"], "horizon": 1}}
    return load(tmp_path, frame, frequencies=frequencies).sets("history")[0].without_last(2)


def test_a_failing_series_is_named(tmp_path: Path) -> None:
    series = failing(tmp_path)
    with pytest.raises(
        UserError, match=r"theta failed on 2 of 3 series \(나라-0, 나라-2\): NotImpl.*on_failure"
    ):
        fitted("theta").forecast(series)


def test_it_falls_back_only_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series = failing(tmp_path)
    found = fitted("theta", on_failure="naive2", levels=[90]).forecast(series)
    assert found.values_NH[[0, 2], 0].tolist() == [3.0, 2.0]
    low_NH, high_NH = found.intervals[90]
    assert np.isnan(low_NH[:, 0]).tolist() == [True, False, True] and low_NH[1, 0] < high_NH[1, 0]
    assert "naive2 instead of theta for 2 of 3 series (나라-0, 나라-2)" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_change_no_byte(quarters: SeriesSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistical, "SERIES_PER_PROCESS", 1)
    alone, together = (fitted("theta", threads=threads, levels=[80]).forecast(quarters) for threads in (1, 2))
    assert alone.values_NH.tobytes() == together.values_NH.tobytes()
    assert alone.intervals[80][1].tobytes() == together.intervals[80][1].tobytes()


def of_m3(period: str, horizon: int) -> tuple[SeriesSet, np.ndarray]:
    """The histories of a period of M3 as a panel, and their test parts."""
    data = m3()
    own = np.flatnonzero(data.periods == period)
    histories = [row[~np.isnan(row)] for row in data.histories[own]]
    config = FrequencyConfig(step="1i", horizon=horizon, seasonality=PERIODS[period])
    series = SeriesSet.counted(period.lower(), config, [data.ids[i] for i in own], histories)
    return series, data.actual[own][:, :horizon]


@needs_m3
@pytest.mark.parametrize(
    ("period", "horizon", "published", "distance"),
    [("YEARLY", 6, 16.97, 0.35), ("OTHER", 8, 4.41, 0.55)],
)
def test_theta_is_near_the_published_theta_of_m3(
    period: str, horizon: int, published: float, distance: float
) -> None:
    """The library's Theta is not M3's to the digit (its smoothing is fitted, its drift differs)."""
    series, actual = of_m3(period, horizon)
    found: Forecasts = fitted("theta").forecast(series)
    assert np.mean(metrics.smape(actual, found.values_NH)) == pytest.approx(published, abs=distance)
