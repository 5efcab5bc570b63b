"""Baselines beside: those that are asked for and not there, under free names, on the same origins as a run."""

from pathlib import Path

import numpy as np
import polars as pl

from seedbed.config import Machine
from seedbed.forecasting.backtest import BacktestConfig, backtest, cross_validation, windows_within
from seedbed.forecasting.baselines import FittedBaseline, NaiveConfig
from seedbed.forecasting.beside import (
    BASELINES,
    Means,
    backtest_beside,
    baselines_beside,
    forecast_beside,
    kind_of,
    origin_errors,
)
from tests.forecasting.panels import load, table
from tests.forecasting.test_forecaster import config


def test_what_a_run_is_by_kind_is_not_made_again_and_a_name_takes_no_place() -> None:
    runs = {"mine": BASELINES["theta"], "nbeats_vs-naive2-m3": config(), "seasonal_naive-classics": config()}
    taken = {"naive-classics"}
    found = baselines_beside(BASELINES, "classics", runs=runs, taken=taken)
    assert list(found) == [
        "naive-classics-2", "seasonal_naive-classics-2", "naive2-classics", "ets-classics", "auto_arima-classics",
    ]  # fmt: skip
    assert {"naive-classics-2", "ets-classics"} <= taken
    assert [kind_of(one) for one in found.values()] == [
        "naive", "seasonal_naive", "naive2", "ets", "auto_arima",
    ]  # fmt: skip
    assert baselines_beside((), "classics", runs={}, taken=set()) == {}


def test_errors_at_the_origins_are_those_of_the_cross_validation(tmp_path: Path) -> None:
    yearly, _ = load(tmp_path, table()).sets("history")
    plan = BacktestConfig(windows=3, step=2)
    means = Means("naive-x", Machine(threads=1), tmp_path)
    [*windows] = backtest_beside(BASELINES["naive"], yearly, plan, means=means)
    found = pl.concat(windows).sort("unique_id", "cutoff")
    fitted = FittedBaseline(NaiveConfig(name="naive"))
    validation = cross_validation(backtest(yearly, plan, fit=lambda *_: fitted), column="naive-x")
    assert found.equals(origin_errors(validation.lazy(), "naive-x"))
    one = validation.filter((pl.col("unique_id") == "y3") & (pl.col("cutoff") == found["cutoff"][-1]))
    assert found["error"][-1] == np.abs(one["y"] - one["naive-x"]).mean()
    short = yearly.take(np.flatnonzero(yearly.lengths < 6)).without_last(1)
    assert len(short) and list(backtest_beside(BASELINES["naive"], short, plan, means=means)) == []


def test_series_in_pieces_have_the_origins_of_all_together(tmp_path: Path) -> None:
    yearly, _ = load(tmp_path, table()).sets("history")
    plan, means = BacktestConfig(windows=4, step=2), Means("naive-x", Machine(threads=1), tmp_path)
    whole, *pieces = (
        pl.concat(backtest_beside(BASELINES["naive"], part, plan, means=means)).sort("unique_id", "cutoff")
        for part in (yearly, *(yearly.part(slice(i, i + 1)) for i in range(1, len(yearly))))
    )
    counts = [windows_within(yearly.part(slice(i, i + 1)), plan) for i in range(len(yearly))]
    assert counts == [1, 3, 4, 4], "one series is in the last windows alone"
    assert pl.concat(pieces).equals(whole.filter(pl.col("unique_id") != "y0"))


def test_theta_comes_with_its_intervals(tmp_path: Path) -> None:
    _, quarterly = load(tmp_path, table()).sets("history")
    made = forecast_beside(
        BASELINES["theta"], quarterly, means=Means("theta-x", Machine(threads=1), tmp_path)
    )
    assert {"theta-x", "theta-x-lo-80", "theta-x-hi-95"} <= set(made.columns) and made.height == 8
