"""Exchanges of errors between forecasters: exact for few series, never too sure, false alarms as promised."""

from itertools import product

import numpy as np
import polars as pl
import pytest

from seedbed.evaluation.assess import assess_panel
from seedbed.evaluation.exchange import exchange, sign_flips
from seedbed.evaluation.wording import sentence
from tests.evaluation import examples


def test_few_series_are_counted_in_every_pattern() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1, 7)
    seen = abs(differences.sum())
    share = np.mean([abs(np.dot(signs, differences)) >= seen - 1e-9 for signs in product((-1, 1), repeat=7)])
    assert sign_flips(differences, shuffles=10, seed=0) == share
    assert sign_flips(np.append(differences, [0.0, 0.0]), shuffles=10, seed=0) == share
    assert sign_flips(np.zeros(4), shuffles=10, seed=0) == 1
    # all the same way: only that pattern and its mirror are as far
    assert sign_flips(np.arange(1.0, 6), shuffles=10, seed=0) == 2 / 2**5


def test_many_are_drawn_and_agree_with_the_t_test() -> None:
    from scipy import stats

    differences = np.random.default_rng(1).normal(0.2, 1, 100)
    found = sign_flips(differences, shuffles=4000, seed=0)
    assert found == sign_flips(differences, shuffles=4000, seed=0)
    assert found == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)
    assert sign_flips(differences + 9, shuffles=99, seed=0) == 1 / 100


def test_owa_weighs_both_errors_by_naive2() -> None:
    (naive2, nbeats), _ = examples.forecasted(12)
    asked = {"frequency": "yearly", "shuffles": 500, "seed": 0}
    a, b = nbeats.within("yearly"), naive2.within("yearly")
    sums = sum((a[name] - b[name]).to_numpy() / b[name].mean() for name in ("smape", "mase"))
    expected = sign_flips(sums, shuffles=500, seed=0)
    assert exchange(nbeats, naive2, naive2, "owa", **asked) == expected  # type: ignore[arg-type]
    assert np.isnan(exchange(nbeats, naive2, None, "owa", **asked))  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [6, 9, 20])
def test_false_alarms(n: int) -> None:
    """Among forecasters that are as good, at most one test in twenty says otherwise."""
    rng = np.random.default_rng(n)
    found = [sign_flips(rng.standard_t(3, n), shuffles=200, seed=trial) for trial in range(800)]
    assert 0.01 <= np.mean(np.asarray(found) <= 0.05) <= 0.065


def test_three_series_give_no_verdict_and_eight_do() -> None:
    for count, outcomes in ((6, {"too few"}), (16, {"better"})):
        runs, history = examples.forecasted(count)
        result, verdicts = assess_panel(runs, history, examples.RECIPE)
        by_frequency = [verdict for verdict in verdicts if verdict.scope != "all"]
        assert {verdict.outcome for verdict in by_frequency} == outcomes
        one = by_frequency[0]
        assert one.difference.n == count // 2
        if count == 6:
            assert np.isnan(one.p_better) and np.isnan(one.difference.low) and "p_better" not in one.leaves()
            assert "too few series for an interval: 3; randomisation p 0.2500" in sentence(one)
            scores = result.results[0].scores
            assert np.isnan(scores["yearly"]["smape"].low) and np.isfinite(scores["all"]["smape"].low)


def test_series_without_a_score_do_not_count() -> None:
    """Of eight series three are constant: MASE stands on five, too few, and sMAPE on eight."""
    forecasts, truth, history = examples.panel(8)
    constant = sorted(history["unique_id"].unique())[:3]
    history = history.with_columns(
        y=pl.when(pl.col("unique_id").is_in(constant)).then(7.0).otherwise(pl.col("y"))
    )
    runs = [
        examples.score_series(
            forecasts, truth, history, forecaster=name, panel="p", seasonality=examples.SEASONALITY
        )
        for name in ("naive2", "nbeats-x")
    ]
    result, [verdict, *_] = assess_panel(runs, history, examples.RECIPE)
    scores = result.results[1].scores["all"]
    assert (scores["mase"].n, scores["smape"].n) == (5, 8)
    assert np.isnan(scores["mase"].low) and np.isfinite(scores["smape"].low)
    assert verdict.metric == "owa" and verdict.outcome == "too few" and verdict.difference.n == 5
