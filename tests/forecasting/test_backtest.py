"""Backtests: Nixtla's table, no leak (a spike after a cutoff is seen by nothing before it), short series."""

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed.config import Machine, UserError
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.backtest import BacktestConfig, Window, backtest, cross_validation, mean_scores
from seedbed.forecasting.fitting import Fitted, Fitting, score
from seedbed.forecasting.layouts.ett import ETTConfig
from seedbed.forecasting.panels import SeriesSet
from seedbed.tracking import SilentRun
from seedbed.training import Training
from tests.forecasting.panels import load, rows, table

NBEATS = {
    "name": "nbeats",
    "model": {"name": "nbeats", "stacks": [{"name": "generic", "blocks": 1, "width": 8, "theta_size": 4}]},
    "lookbacks": [2],
    "losses": ["smape", "mase"],
}
TRAINING = {
    "max_steps": 3,
    "global_batch_size": 8,
    "seed": 1,
    "precision": "fp32",
    "gradient_clip": 1e6,
    "log_every": 3,
    "optimizer": {"name": "adamw", "learning_rate": 5e-3, "weight_decay": 0.0},
    "schedule": {"name": "constant"},
}
FORECASTERS = [NBEATS, {"name": "naive2"}, {"name": "statistical", "model": "theta", "levels": [80]}]


def fit_of(forecaster: dict[str, Any], scratch: Path) -> Callable[[SeriesSet, int], Fitted]:
    values = {
        "source": "x",
        "panel": {"name": "long", "frequencies": {"a": {"step": "1i", "horizon": 1, "seasonality": 1}}},
    }
    training = TRAINING if forecaster is NBEATS else None
    recipe = ForecastRecipe.parse({**values, "forecaster": forecaster, "training": training}, "forecast.x")

    def fit(series: SeriesSet, behind: int) -> Fitted:
        means = Fitting(
            Training.parse(TRAINING, "training") if training else None,
            Machine(threads=1),
            scratch / str(behind),
            SilentRun(),
            "backtest",
        )
        return recipe.forecaster.fit(series, valid=None, fitting=means)

    return fit


def config(**changed: Any) -> BacktestConfig:
    return BacktestConfig.parse({"windows": 3, "step": 2, **changed}, "backtest")


def scores(windows: list[Window]) -> dict[str, float]:
    """Means over windows of what `score` gives for each."""
    return mean_scores([score(one.forecasts.values_NH, one.actual, history=one.history) for one in windows])


@pytest.fixture
def quarters(tmp_path: Path) -> SeriesSet:
    return load(tmp_path, table()).sets("history")[1]


def test_the_table_is_statsforecasts(quarters: SeriesSet, tmp_path: Path) -> None:
    from statsforecast import StatsForecast
    from statsforecast.models import SeasonalNaive

    windows = backtest(quarters, config(), fit=fit_of({"name": "seasonal_naive"}, tmp_path))
    ours = cross_validation(windows, column="SeasonalNaive")
    theirs = StatsForecast([SeasonalNaive(4)], freq="1q").cross_validation(
        df=quarters.frame().drop("frequency"), h=4, n_windows=3, step_size=2
    )
    assert ours.columns == ["unique_id", "ds", "cutoff", "y", "frequency", "SeasonalNaive"]
    theirs = theirs.sort("unique_id", "cutoff", "ds")
    for column in ("unique_id", "y", "SeasonalNaive"):
        assert ours[column].to_list() == theirs[column].to_list(), column
    for column in ("ds", "cutoff"):
        assert ours[column].to_list() == theirs[column].cast(pl.Date).to_list(), column


def spiked(series: SeriesSet, behind: int) -> SeriesSet:
    """A million on every value among the last `behind` points of each series."""
    values = series.values.copy()
    for index in range(len(series)):
        values[series.offsets[index + 1] - behind : series.offsets[index + 1]] += 1e6
    return replace(series, values=values)


def told(window: Window) -> list[bytes]:
    """Every number a window's forecaster gave."""
    found = window.forecasts
    ends = [end for pair in found.intervals.values() for end in pair]
    return [part.tobytes() for part in (found.values_NH, *found.components.values(), *ends)]


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda one: one["name"])
def test_nothing_before_a_cutoff_sees_a_spike_after_it(
    forecaster: dict[str, Any], refit: bool, quarters: SeriesSet, tmp_path: Path
) -> None:
    """Weights, window scales, the scale in the MASE loss, seasonal indices, dates: all would carry it."""
    asked = config(windows=2, refit=refit)
    clean = backtest(quarters, asked, fit=fit_of(forecaster, tmp_path / "clean"))
    for number, behind in enumerate((6, 4)):
        name = f"spike-{behind}"
        spiky = backtest(spiked(quarters, behind), asked, fit=fit_of(forecaster, tmp_path / name))
        for earlier in range(number + 1):
            assert told(spiky[earlier]) == told(clean[earlier]), (behind, earlier)
            np.testing.assert_array_equal(spiky[earlier].history.instants, clean[earlier].history.instants)
        for later in range(number + 1, 2):
            assert told(spiky[later]) != told(clean[later]), "a test that cannot see the spike proves nothing"
        assert spiky[1].actual.values.max() > 1e5


def test_it_fits_once_or_at_each_cutoff(quarters: SeriesSet, tmp_path: Path) -> None:
    naive = fit_of({"name": "naive"}, tmp_path)
    for refit, expected in ((False, [8]), (True, [8, 6, 4])):
        fits: list[tuple[int, int]] = []

        def fit(series: SeriesSet, behind: int, fits: list[tuple[int, int]] = fits) -> Fitted:
            fits.append((behind, int(series.lengths.max())))
            return naive(series, behind)

        backtest(quarters, config(refit=refit), fit=fit)
        assert fits == [(behind, 44 - behind) for behind in expected]


def test_a_series_too_short_for_a_window_is_not_in_it(tmp_path: Path) -> None:
    frame = pl.concat(
        [
            rows("short", "yearly", [float(i) for i in range(8)]),
            rows("long", "yearly", [float(i) for i in range(20)]),
        ]
    )
    frequencies = {"yearly": {"step": "1y", "horizon": 3, "seasonality": 1}}
    series = load(tmp_path, frame, frequencies=frequencies).sets("history")[0]
    naive = fit_of({"name": "naive"}, tmp_path)
    windows = backtest(series, config(windows=2, step=3), fit=naive)
    assert [window.history.ids for window in windows] == [("long",), ("long", "short")]
    found = cross_validation(windows, column="naive")
    counts = dict(found.group_by("unique_id").len().iter_rows())
    assert counts == {"long": 6, "short": 3}
    long = found.filter(pl.col("unique_id") == "long")
    assert long["y"].to_list() == [11.0, 12, 13, 14, 15, 16]
    assert long["naive"].to_list() == [10.0] * 3 + [13.0] * 3
    assert scores(windows)["mase"] == pytest.approx(2)
    with pytest.raises(
        UserError, match=r"backtest of yearly: window 5 .* needs 17 points .* has 17|window 6"
    ):
        backtest(series, config(windows=6, step=3), fit=naive)


def test_every_origin_of_a_long_part_is_a_backtest_of_step_one(tmp_path: Path) -> None:
    """ETT's way of testing: one fit, then a forecast from every hour whose horizon lies in the part."""
    hours, horizon, first = 120, 6, 90
    ds = pl.datetime_range(
        datetime.datetime(2016, 7, 1),
        interval="1h",
        closed="left",
        eager=True,
        end=datetime.datetime(2016, 7, 6),
    )
    pl.DataFrame({"date": ds, "HUFL": np.arange(hours) * 1.0, "OT": 7.0}).write_csv(tmp_path / "ETTh1.csv")
    frequencies = {"hourly": {"step": "1h", "horizon": horizon, "seasonality": 24}}
    layout = ETTConfig.parse({"name": "ett", "frequencies": frequencies}, "panel")
    (history,) = layout.load(tmp_path).sets("history")
    origins = hours - horizon - first - horizon + 1
    lengths: list[int] = []

    def fit(series: SeriesSet, behind: int) -> Fitted:
        lengths.extend(series.lengths.tolist())
        return fit_of({"name": "naive"}, tmp_path)(series, behind)

    windows = backtest(history, config(windows=origins, step=1), fit=fit)
    assert lengths == [first, first], "fitted once, on what lies before the part"
    found = cross_validation(windows, column="naive").filter(pl.col("unique_id") == "HUFL")
    assert found["cutoff"].unique().sort().to_list() == ds[first - 1 : hours - 2 * horizon].to_list()
    last = found.group_by("cutoff").agg(pl.col("naive").first()).sort("cutoff")["naive"]
    assert last.to_list() == [float(hour) for hour in range(first - 1, hours - 2 * horizon)]
