"""Randomisation over series: may the errors of two forecasters be exchanged, series by series?

Fisher's sign-flip test (Good 2005, section 3.2), exact for few series: every pattern of exchanges is counted.
With n series no two-sided p is below 2 / 2^n, so few series cannot seem sure.
Shape legend: N series, B patterns of exchanges.
"""

from math import nan

import numpy as np

from seedbed.evaluation.intervals import CHUNK_NUMBERS, Floats
from seedbed.evaluation.series import Forecasted

MOST_EXACT = 12
"""Up to so many series that differ all 2^n patterns are counted; beyond it shuffles are drawn."""


def exchange(
    a: Forecasted,
    b: Forecasted,
    naive2: Forecasted | None,
    metric: str,
    *,
    frequency: str | None,
    shuffles: int,
    seed: int,
) -> float:
    """Two-sided p of the hypothesis that it does not matter which of the two forecast a series.

    Of sMAPE, MASE and OWA (relative to Naive2, which stays as it is) as means over series; nan for others.
    """
    parts = {"smape": ["smape"], "mase": ["mase"], "owa": ["smape", "mase"]}.get(metric, [])
    if not parts or (metric == "owa" and naive2 is None):
        return nan
    total_N = np.zeros(a.within(frequency).height)
    for name in parts:
        difference_N = a.within(frequency)[name].to_numpy() - b.within(frequency)[name].to_numpy()
        defined_N = np.isfinite(difference_N)
        share = 1.0
        if metric == "owa":
            assert naive2 is not None
            reference_N = naive2.within(frequency)[name].to_numpy()
            share = 0.5 / float(reference_N[np.isfinite(reference_N)].mean())
        total_N += share * np.where(defined_N, difference_N, 0.0) / max(int(defined_N.sum()), 1)
    return sign_flips(total_N, shuffles=shuffles, seed=seed)


def sign_flips(differences_N: Floats, *, shuffles: int, seed: int) -> float:
    """Share of patterns of signs whose sum is as far from zero as the one seen, which is one of them."""
    moved_N = differences_N[differences_N != 0]
    n = moved_N.size
    # sums of the same numbers in another order may differ in their last bits
    observed = abs(float(moved_N.sum())) - 1e-12 * float(np.abs(moved_N).sum())
    if n <= MOST_EXACT:
        patterns_BN = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs((1 - 2 * patterns_BN) @ moved_N) >= observed))
    rng = np.random.default_rng([seed, n])
    rows = max(1, min(shuffles, CHUNK_NUMBERS // n))
    extreme = 0
    for first in range(0, shuffles, rows):
        signs_BN = 1 - 2 * rng.integers(0, 2, (min(rows, shuffles - first), n), dtype=np.int8)
        extreme += int(np.sum(np.abs(np.einsum("bn,n->b", signs_BN, moved_N)) >= observed))
    return (extreme + 1) / (shuffles + 1)
