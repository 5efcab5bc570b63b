"""Verdicts: paired, calibrated, and in words that agree with their intervals."""

import numpy as np
import pytest

from seedbed.evaluation.comparisons import compare, judge, probability_better
from seedbed.evaluation.intervals import Estimate, bootstrap


def drawn(values_SN, seed=0, resamples=400):
    n = values_SN.shape[1]
    return bootstrap(lambda w: (w @ values_SN.T / n)[:, :, None], n, resamples=resamples, seed=seed)


def verdict(a, b, *, seed=0, equivalence=0.0, higher_is_better=True):
    return compare(
        drawn(a, seed),
        drawn(b, seed),
        verb="finetune",
        task="topics",
        scope="all",
        names=("a", "b"),
        metric="accuracy",
        higher_is_better=higher_is_better,
        equivalence=equivalence,
        confidence=0.95,
        seed=seed,
    )


def test_pairing_finds_a_small_difference_in_noisy_examples():
    rng = np.random.default_rng(0)
    b = rng.normal(0, 10, (1, 200))
    a = b + rng.normal(0.3, 0.5, (1, 200))
    made = verdict(a, b)
    assert made.outcome == "better" and made.p_better > 0.99
    assert made.words == "a is better than b"
    assert made.difference.high - made.difference.low < 0.3
    assert verdict(a, b, higher_is_better=False).outcome == "worse"


def test_swapping_the_sides_mirrors_the_verdict():
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 1, 100))
    one, other = verdict(a, b), verdict(b, a)
    assert one.p_better + other.p_better == pytest.approx(1)
    assert one.difference.low == pytest.approx(-other.difference.high)


def test_a_model_against_itself_is_as_good_and_even():
    a = np.random.default_rng(2).random((1, 50))
    made = verdict(a, a, equivalence=0.01)
    assert (made.p_better, made.outcome, made.p_equal) == (0.5, "equal", 1.0)
    assert made.words == "a is as good as b"


@pytest.mark.parametrize("seeds", [1, 3])
def test_coverage_and_false_alarms_without_a_difference(seeds):
    rng = np.random.default_rng(4)
    held = sure = 0
    for trial in range(1500):
        example = rng.normal(0, 1, 80)
        a, b = (
            example + rng.normal(0, 0.5, (seeds, 80)) + rng.normal(0, 0.05 * (seeds > 1), (seeds, 1))
            for _ in range(2)
        )
        made = verdict(a, b, seed=trial)
        held += made.difference.low <= 0 <= made.difference.high
        sure += made.outcome in ("better", "worse")
    assert 0.93 <= held / 1500 <= 0.97
    assert sure / 1500 <= 0.07


@pytest.mark.parametrize(
    ("low", "high", "p_better", "outcome"),
    [
        (0.02, 0.05, 0.999, "better"),
        (-0.05, -0.02, 0.001, "worse"),
        (-0.01, 0.05, 0.95, "probably better"),
        (-0.05, 0.02, 0.05, "probably worse"),
        (-0.05, 0.04, 0.4, "open"),
        (-0.005, 0.009, 0.7, "equal"),
        (float("nan"), float("nan"), 0.99, "open"),
    ],
)
def test_words(low, high, p_better, outcome):
    difference = Estimate(0.0, low, high, 100)
    assert judge(difference, p_better=p_better, higher_is_better=True, equivalence=0.01) == outcome
    flipped = Estimate(0.0, -high, -low, 100)
    assert judge(flipped, p_better=p_better, higher_is_better=False, equivalence=0.01) == outcome


def test_a_probability_is_never_quite_certain():
    assert probability_better(np.ones(99), higher_is_better=True) == pytest.approx(0.995)
    assert probability_better(np.ones(99), higher_is_better=False) == pytest.approx(0.005)
