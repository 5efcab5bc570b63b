"""Forecast runs: per-series scores equal metrics.py, ratios are of means, gaps are refused."""

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from seedbed import metrics
from seedbed.config import UserError
from seedbed.evaluation import report, series, tables
from seedbed.evaluation.assess import assess_panel, reference
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
    assert set(counts.values()) == {16}
    names, draws, _ = series.draw(naive2, naive2, "yearly", resamples=50, seed=0)
    np.testing.assert_array_equal(draws.draws_BSM[:, 0, names.index("owa")], 1)
    assert draws.n == 8


def test_what_owa_is_relative_to_is_told_by_its_kind():
    (naive2, nbeats), history = examples.forecasted()
    named = replace(nbeats, forecaster="nbeats_vs-naive2-p", kind="nbeats")
    beside = replace(naive2, forecaster="naive2-p", kind="naive2")
    assert reference([named, beside], "*naive2*") is beside
    assert reference([named], "*naive2*") is None
    assert reference([named], named.forecaster) is named, "its whole name says that it is meant"
    mine = replace(beside, forecaster="mine")
    assert reference([named, mine], "*naive2*") is mine
    assert reference([mine, beside], "naive2-?") is beside
    assert reference([nbeats, naive2], "*naive2*") is naive2, "of a published table the name is all there is"
    panel, _ = assess_panel([named, beside], history, examples.RECIPE.model_copy(update={"forecast": ()}))
    owa = {result.forecasts.forecaster: result.scores["all"]["owa"].value for result in panel.results}
    assert owa["naive2-p"] == 1 and owa["nbeats_vs-naive2-p"] != 1


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


def test_gaps_in_truth_and_history_are_left_out_and_the_report_stands(tmp_path):
    forecasts, truth, history = examples.panel()
    first, second = sorted(history["unique_id"].unique())[:2]
    last = pl.col("ds") == pl.col("ds").max()
    own = pl.col("unique_id") == first
    gap = truth.with_columns(
        pl.when((own & last) | (pl.col("unique_id") == second)).then(None).otherwise("y").alias("y")
    )
    history = history.with_columns(pl.when(own & last).then(None).otherwise("y").alias("y"))
    runs = [
        series.score_series(
            forecasts, gap, history, forecaster=name, panel="p", seasonality=examples.SEASONALITY
        )
        for name in ("naive2", "nbeats-x")
    ]
    whole = series.score_series(
        forecasts.filter(own), truth.filter(own & ~last), history, forecaster="naive2", panel="p",
        seasonality=examples.SEASONALITY,
    )  # fmt: skip
    scored = runs[0].errors.filter(pl.col("unique_id") == first)
    assert scored["smape"].to_list() == whole.errors["smape"].to_list()
    assert runs[0].errors.filter(pl.col("unique_id") == second)["smape"].is_nan().all()
    _, _, counts = series.draw(runs[0], None, None, resamples=50, seed=0)
    assert counts == {"smape": 7, "mase": 7, "mape": 7, "rmsse": 7}
    recipe = examples.RECIPE.model_copy(update={"series_shown": 4})
    panel, verdicts = assess_panel(runs, history, recipe)
    assert {one.rank.n for one in panel.ranks if one.scope == "all"} == {7}
    found = replace(examples.findings(), panels=[panel], headline=verdicts, details=[])
    tables.write(found, tmp_path)
    page = report.render(found)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page.lower(), flags=re.DOTALL).split()
    assert "mnan" not in page and "lnan" not in page and " nan" not in page


def test_a_missing_forecast_is_the_users_fault():
    forecasts, truth, history = examples.panel()
    with pytest.raises(UserError, match=r"forecast naive2: no forecast of .* \(1 of 32 points\)"):
        series.score_series(
            forecasts.tail(31), truth, history, forecaster="naive2", panel="p",
            seasonality=examples.SEASONALITY,
        )  # fmt: skip
