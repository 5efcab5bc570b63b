"""Intervals hold the truth as often as they say, and the same numbers come out twice."""

import numpy as np
import pytest
from scipy import stats

from seedbed.evaluation import intervals
from seedbed.evaluation.intervals import (
    Draws,
    Estimate,
    bootstrap,
    estimates,
    expanded,
    fewest,
    interval,
    means_over_seeds,
    proportion,
    seed_variance,
)


def mean_of(values_SN):
    """The statistic of plain means: (B, N) weights to (B, S, 1)."""
    return lambda weights: np.einsum("bn,sn->bs", weights, values_SN)[:, :, None] / values_SN.shape[1]


def test_beta_is_the_jeffreys_posterior():
    made = proportion(7, 20, confidence=0.95)
    assert (made.value, made.n, made.how) == (0.35, 20, "beta")
    assert made.low == pytest.approx(stats.beta.ppf(0.025, 7.5, 13.5))
    assert made.high == pytest.approx(stats.beta.ppf(0.975, 7.5, 13.5))
    # Brown, Cai and DasGupta (2001): 0 hits begin at 0, all hits end at 1.
    assert proportion(0, 5, confidence=0.95).low == 0
    assert proportion(5, 5, confidence=0.95).high == 1


def test_coverage_of_proportions():
    """Exact, no simulation: the probability of every count, summed where its interval holds the truth."""
    ends = [proportion(k, 50, confidence=0.95) for k in range(51)]
    held = []
    for truth in np.linspace(0.05, 0.95, 181):
        inside = np.array([e.low <= truth <= e.high for e in ends])
        held.append(float(stats.binom.pmf(np.arange(51), 50, truth) @ inside))
    assert 0.93 < float(np.mean(held)) < 0.97


@pytest.mark.parametrize("n", [6, 8, 40])
def test_coverage_of_bootstrapped_means(n):
    rng = np.random.default_rng(3)
    held = 0
    for trial in range(600):
        draws = bootstrap(mean_of(rng.normal(2, 1, (1, n))), n, resamples=800, seed=trial)
        made = estimates(draws, confidence=0.95, seed=trial)[0]
        held += made.low <= 2 <= made.high
    # of few examples at least 92 in 100
    assert 0.92 <= held / 600 <= 0.97


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.1), (3, 0.3), (5, 0.03)])
def test_coverage_over_seeds_and_examples(seeds, spread):
    """Crossed random effects through a probit: seeds, examples and their noise, the truth in closed form."""
    rng = np.random.default_rng(11)
    noise, trials, n, held = 0.7, 1500, 200, 0
    truth = stats.norm.cdf(0.3 / np.sqrt(spread**2 + 1 + noise**2))
    for trial in range(trials):
        latent = (
            0.3 + rng.normal(0, spread, (seeds, 1)) + rng.normal(0, 1, n) + rng.normal(0, noise, (seeds, n))
        )
        draws = bootstrap(mean_of((latent > 0).astype(float)), n, resamples=400, seed=trial)
        made = estimates(draws, confidence=0.95, seed=trial)[0]
        held += made.low <= truth <= made.high
    assert 0.93 <= held / trials <= 0.97


def test_resamples_count_every_example_equally():
    weights = []
    bootstrap(lambda w: (weights.append(w), np.zeros((len(w), 1, 1)))[1], 50, resamples=2000, seed=1)
    drawn = np.concatenate(weights[1:])
    assert drawn.shape == (2000, 50)
    np.testing.assert_array_equal(drawn.sum(1), 50)
    assert abs(drawn.mean(0) - 1).max() < 4 / np.sqrt(2000)
    assert drawn.var() == pytest.approx(49 / 50, abs=0.03)  # multinomial


def test_the_same_seed_gives_the_same_bits_in_any_chunks(monkeypatch):
    values = np.random.default_rng(0).normal(size=(2, 37))
    one = bootstrap(mean_of(values), 37, resamples=101, seed=5).draws_BSM
    monkeypatch.setattr(intervals, "CHUNK_NUMBERS", 37 * 7)
    other = bootstrap(mean_of(values), 37, resamples=101, seed=5).draws_BSM
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, bootstrap(mean_of(values), 37, resamples=101, seed=6).draws_BSM)


def test_seeds_that_differ_widen_the_interval_and_equal_ones_do_not():
    rng = np.random.default_rng(0)
    same = np.tile(rng.normal(size=(1, 300)), (3, 1))
    apart = same + np.array([[-0.5], [0.0], [0.5]])
    alike = bootstrap(mean_of(same), 300, resamples=500, seed=0)
    assert seed_variance(alike) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(means_over_seeds(alike, seed=0), alike.draws_BSM.mean(1))
    different = bootstrap(mean_of(apart), 300, resamples=500, seed=0)
    assert seed_variance(different) == pytest.approx(0.25)
    narrow, wide = (estimates(d, confidence=0.95, seed=0)[0] for d in (alike, different))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert wide.seeds == 3


def test_one_example_has_no_interval_and_its_leaf_says_nothing_false():
    made = estimates(bootstrap(mean_of(np.ones((1, 1))), 1, resamples=100, seed=0), confidence=0.95, seed=0)[
        0
    ]
    assert made.leaves() == {"value": 1.0, "n": 1, "seeds": 1}


def test_draws_that_are_nan_are_left_out():
    low, high = interval(np.array([np.nan, *np.linspace(0, 1, 1001)]), n=10**6, confidence=0.9)
    assert (low, high) == pytest.approx((0.05, 0.95), abs=1e-3)


def test_intervals_stay_within_bounds():
    draws = Draws(np.array([[0.9], [1.0]]), np.random.default_rng(0).normal(0.95, 0.1, (500, 2, 1)), 10)
    made = estimates(draws, confidence=0.95, seed=0, bounds=(0, 1))[0]
    assert made.high == 1.0
    assert isinstance(made, Estimate)


def test_fewer_than_the_fewest_have_no_interval():
    """With n values the interval from the smallest to the largest holds their median 1 - 2^(1 - n) often."""
    assert [fewest(confidence) for confidence in (0.9, 0.95, 0.99)] == [5, 6, 8]
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20_000, 6))
    held = {n: float(np.mean((values[:, :n].min(1) < 0) & (values[:, :n].max(1) > 0))) for n in (5, 6)}
    assert held[5] < 0.95 < held[6] and held[6] == pytest.approx(1 - 2**-5, abs=0.004)
    draws = np.linspace(0, 1, 1001)
    assert np.isnan(interval(draws, n=5, confidence=0.95)).all()
    assert np.isfinite(interval(draws, n=6, confidence=0.95)).all()


@pytest.mark.parametrize("n", [6, 12, 60])
def test_an_expanded_share_is_as_sure_as_it_says(n):
    """Without a difference P is uniform: outside of 5 and 95 % in ten cases of a hundred (raw: 17 at n = 6)."""
    rng = np.random.default_rng(n)
    sure, trials = 0, 1500
    for _ in range(trials):
        values = rng.normal(size=n)
        means = values[rng.integers(0, n, (300, n))].mean(1)
        share = expanded((np.sum(means < 0) + 0.5) / 301, n=n)
        sure += not 0.05 <= share <= 0.95
    assert 0.07 <= sure / trials <= 0.135
    assert expanded(0.5, n=n) == pytest.approx(0.5)
