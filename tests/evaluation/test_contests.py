"""Ranks, tests and wins of a panel's forecasters, each against the plain numbers."""

import numpy as np
import polars as pl
import pytest

from seedbed.evaluation import contests
from seedbed.evaluation.series import Forecasted
from seedbed.evaluation.significance import critical_distance, diebold_mariano
from tests.evaluation import examples


@pytest.fixture(scope="module")
def runs() -> list[Forecasted]:
    return examples.forecasted()[0]


def test_ranks(runs: list[Forecasted]) -> None:
    found = contests.ranks(runs, scope="yearly", frequency="yearly", confidence=0.95)
    assert [(one.metric, one.forecaster) for one in found] == [
        (metric, run.forecaster) for metric in ("smape", "mase") for run in runs
    ]
    better = np.mean(
        runs[0].within("yearly")["smape"].to_numpy() < runs[1].within("yearly")["smape"].to_numpy()
    )
    assert found[0].rank.value == pytest.approx(2 - better)
    assert found[0].rank.high - found[0].rank.low == pytest.approx(critical_distance(2, 8, confidence=0.95))
    assert found[0].rank.n == 8 and found[0].among == 2
    assert contests.ranks(runs[:1], scope="all", frequency=None, confidence=0.95) == []
    few = contests.ranks(examples.forecasted(8)[0], scope="yearly", frequency="yearly", confidence=0.95)
    assert few[0].rank.n == 4 and np.isnan(few[0].rank.high)


def test_diebold_mariano_of_a_pair(runs: list[Forecasted]) -> None:
    whole = contests.tests(runs[1], runs[0], scope="all", frequency=None)
    difference = runs[1].errors["mase"].to_numpy() - runs[0].errors["mase"].to_numpy()
    assert [one.found for one in whole] == [diebold_mariano(difference)]
    assert whole[0].found.statistic < 0 and whole[0].found.p < 0.05 and whole[0].found.n == 16
    yearly = contests.tests(runs[1], runs[0], scope="yearly", frequency="yearly")
    assert [one.horizon for one in yearly] == [0, 1, 2, 3, 4]
    a, b = (run.points_within("yearly") for run in (runs[1], runs[0]))
    second = (np.abs(a.actual_NH - a.forecast_NH) - np.abs(b.actual_NH - b.forecast_NH))[:, 1] / a.scale_N
    assert yearly[2].found.statistic == pytest.approx(diebold_mariano(second).statistic)
    mirrored = contests.tests(runs[0], runs[1], scope="all", frequency=None)
    assert mirrored[0].found.statistic == -whole[0].found.statistic


def test_wins(runs: list[Forecasted]) -> None:
    won = contests.wins(runs[1], runs[0], panel="classics")
    assert won.height == 32 and won.columns[:6] == ["panel", "unique_id", "frequency", "a", "b", "metric"]
    for row in won.iter_rows(named=True):
        errors = {
            run.forecaster: run.errors.filter(pl.col("unique_id") == row["unique_id"])[row["metric"]][0]
            for run in runs
        }
        assert row["winner"] == min(errors, key=errors.__getitem__)
    assert set(contests.wins(runs[0], runs[0], panel="p")["winner"]) == {"tie"}
