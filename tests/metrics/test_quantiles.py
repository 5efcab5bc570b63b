"""Intervals and quantiles: by hand, with gaps, against utilsforecast, the normal distribution's own CRPS."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats
from utilsforecast import losses as theirs

from seedbed import metrics


def test_by_hand():
    actual, low, high = [1.0, 5, 9], [0.0, 6, 4], [1.0, 8, 8]
    assert metrics.coverage(actual, low=low, high=high) == pytest.approx(1 / 3)
    expected = ((1 - 0) + (8 - 6 + 20 * 1) + (8 - 4 + 20 * 1)) / 3
    assert metrics.interval_score(actual, low=low, high=high, level=0.9) == pytest.approx(expected)
    history = [1.0, 3, 7]
    assert metrics.msis(
        actual, low=low, high=high, level=0.9, history=history, seasonality=1
    ) == pytest.approx(expected / 3)
    assert metrics.pinball([10.0], [8.0], q=0.9) == pytest.approx(1.8)
    assert metrics.pinball([8.0], [10.0], q=0.9) == pytest.approx(0.2)
    assert metrics.crps([8.0, 1.0], [[10.0, 2.0]], q=[0.5]) == pytest.approx(1.5)


def test_gaps_are_left_out():
    actual = np.array([[1.0, np.nan, 3], [np.nan, np.nan, np.nan]])
    low, high = np.zeros((2, 3)), np.full((2, 3), 2.0)
    np.testing.assert_array_equal(metrics.coverage(actual, low=low, high=high), [0.5, np.nan])
    low[0, 2] = np.nan
    assert metrics.coverage(actual, low=low, high=high)[0] == 1
    assert metrics.coverage([1.0], low=[-math.inf], high=[math.inf]) == 1
    assert math.isnan(metrics.crps(actual, np.stack([low, high]), q=[0.1, 0.9])[1])


def test_an_interval_score_is_two_quantile_losses():
    """Gneiting and Raftery (2007), section 6.2."""
    rng = np.random.default_rng(0)
    actual, low = rng.normal(size=(2, 5, 40))
    high = low + rng.random((5, 40))
    found = metrics.interval_score(actual, low=low, high=high, level=0.8)
    losses = metrics.pinball(actual, low, q=0.1) + metrics.pinball(actual, high, q=0.9)
    np.testing.assert_allclose(found, losses / 0.1, rtol=1e-12)


def test_the_crps_of_a_normal_distribution():
    """Gneiting and Raftery (2007), equation 21."""
    q = (np.arange(2000) + 0.5) / 2000
    forecast = stats.norm(3, 2).ppf(q)[:, None]
    for actual in (-1.0, 3.0, 4.5):
        z = (actual - 3) / 2
        exact = 2 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
        assert metrics.crps([actual], forecast, q=q) == pytest.approx(exact, rel=2e-3)


def test_the_crps_of_an_ensemble():
    """properscoring's crps_ensemble: the mean of |x - y| less half the mean of |x - x'|."""
    rng = np.random.default_rng(4)
    members, actual = np.sort(rng.normal(size=(9, 6)), axis=0), rng.normal(size=6)
    between = np.abs(members[:, None] - members[None]).mean((0, 1)) / 2
    expected = (np.abs(members - actual).mean(0) - between).mean()
    q = (np.arange(9) + 0.5) / 9
    for spacing in ("even", "known"):
        assert metrics.crps(actual, members, q=q, spacing=spacing) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("levels", "within"), [([80, 95], 0.12), ([50, 80, 95], 0.035), ([*range(10, 100, 10)], 0.015)]
)
def test_ends_of_intervals_give_nearly_the_crps_of_a_normal_distribution(levels, within):
    """Against the closed form, the mean over what the distribution itself draws; evenly weighted it is worse."""
    shares = [share / 200 for level in levels for share in (100 - level, 100 + level)]
    q = np.sort([0.5, *shares])
    actual = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    forecast = np.repeat(stats.norm.ppf(q)[:, None], actual.size, axis=1)
    exact = np.mean(
        actual * (2 * stats.norm.cdf(actual) - 1) + 2 * stats.norm.pdf(actual) - 1 / math.sqrt(math.pi)
    )
    assert exact == pytest.approx(1 / math.sqrt(math.pi), rel=1e-3)
    known, even = (metrics.crps(actual, forecast, q=q, spacing=spacing) for spacing in ("known", "even"))
    assert known == pytest.approx(exact, rel=within) and abs(known - exact) < abs(even - exact)


def test_against_utilsforecast():
    rng = np.random.default_rng(1)
    actual, middle = rng.normal(20, 4, (2, 7, 9))
    low, high = middle - 3, middle + 4
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat(np.arange(7), 9),
            "ds": np.tile(np.arange(9), 7),
            "y": actual.ravel(),
            "m": middle.ravel(),
            "m-lo-80": low.ravel(),
            "m-hi-80": high.ravel(),
        }
    )
    q = np.array([0.1, 0.5, 0.9])
    stacked = np.stack([low, middle, high])
    of_quantiles = {"models": {"m": ["m-lo-80", "m", "m-hi-80"]}, "quantiles": q}
    for reference, ours in (
        (theirs.coverage(frame, ["m"], 80), metrics.coverage(actual, low=low, high=high)),
        (theirs.winkler_score(frame, ["m"], 80), metrics.interval_score(actual, low=low, high=high, level=0.8)),
        (theirs.quantile_loss(frame, {"m": "m-hi-80"}, q=0.9), metrics.pinball(actual, high, q=0.9)),
        (theirs.mqloss(frame, **of_quantiles), metrics.crps(actual, stacked, q=q) / 2),
        (theirs.scaled_crps(frame, **of_quantiles), metrics.crps(actual, stacked, q=q) / np.abs(actual).mean(1)),
    ):  # fmt: skip
        np.testing.assert_allclose(ours, reference.sort("unique_id")["m"].to_numpy(), rtol=1e-12)
