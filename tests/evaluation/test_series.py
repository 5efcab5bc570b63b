"""Forecast runs: per-series scores equal metrics.py, ratios are of means, gaps are refused."""

import numpy as np
import polars as pl
import pytest

from seedbed import metrics
from seedbed.config import UserError
from seedbed.evaluation import series
from seedbed.evaluation.intervals import estimates
from tests.evaluation import examples


def test_scores_per_series():
    forecasts, truth, history = examples.panel()
    made = series.score_series(
        forecasts, truth, history, forecaster="nbeats-x", panel="p", seasonality=examples.SEASONALITY
    )
    assert made.errors.height == 8 and made.frequencies() == ["yearly", "quarterly"]
    for row in made.errors.iter_rows(named=True):
        name = row["unique_id"]
        actual, guess, past = (
            frame.filter(pl.col("unique_id") == name)[column].to_numpy()
            for frame, column in ((truth, "y"), (forecasts, "nbeats-x"), (history, "y"))
        )
        season = examples.SEASONALITY[row["frequency"]]
        assert row["smape"] == metrics.smape(actual, guess)
        assert row["mase"] == metrics.mase(actual, guess, history=past, seasonality=season)


def test_owa_is_the_ratio_of_means_and_naive2_is_one():
    (naive2, nbeats), _ = examples.forecasted()
    names, draws, counts = series.draw(nbeats, naive2, None, resamples=300, seed=0)
    made = dict(zip(names, estimates(draws, confidence=0.95, seed=0), strict=True))
    means = {name: nbeats.errors[name].mean() for name in ("smape", "mase")}
    base = {name: naive2.errors[name].mean() for name in ("smape", "mase")}
    expected = (means["smape"] / base["smape"] + means["mase"] / base["mase"]) / 2
    assert made["owa"].value == pytest.approx(expected)
    assert made["owa"].low < expected < made["owa"].high < 1
    assert set(counts.values()) == {8}
    names, draws, _ = series.draw(naive2, naive2, "yearly", resamples=50, seed=0)
    np.testing.assert_array_equal(draws.draws_BSM[:, 0, names.index("owa")], 1)
    assert draws.n == 4


def test_undefined_scores_leave_only_themselves_out():
    forecasts, truth, history = examples.panel()
    first = history["unique_id"][0]
    flat = history.with_columns(
        pl.when(pl.col("unique_id") == first).then(pl.lit(5.0)).otherwise("y").alias("y")
    )
    run = series.score_series(
        forecasts, truth, flat, forecaster="naive2", panel="p", seasonality=examples.SEASONALITY
    )
    names, draws, counts = series.draw(run, None, None, resamples=50, seed=0)
    assert names == series.ERRORS
    assert counts == {"smape": 8, "mase": 7, "mape": 8, "rmsse": 7}
    assert np.isfinite(draws.draws_BSM).all()


def test_a_missing_forecast_is_the_users_fault():
    forecasts, truth, history = examples.panel()
    with pytest.raises(UserError, match=r"forecast naive2: no forecast of .* \(1 of 32 points\)"):
        series.score_series(
            forecasts.tail(31), truth, history, forecaster="naive2", panel="p",
            seasonality=examples.SEASONALITY,
        )  # fmt: skip
