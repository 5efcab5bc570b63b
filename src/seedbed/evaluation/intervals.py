"""Intervals: every reported number is an `Estimate`, a value with its interval and its count.

Proportions of one trained model: Beta posterior (Brown, Cai and DasGupta 2001, section 4.3).
Everything else: bootstrap over examples, with the expanded percentiles of Hesterberg (2015),
section 4.5, so that small counts are not too narrow; over several seeds, the spread between seeds
is added as in a crossed random-effects model (Owen 2007).
Shape legend: N examples, S seeds, B resamples, M metrics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite, log2, nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Weights of the examples (B, N), each row summing to N, to values (B, S, M)."""

CHUNK_NUMBERS = 4_000_000
"""Most weights held at once: 32 MB, whatever the number of examples and resamples."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval: `n` examples (or series), `seeds` trained models, `how` it was made.

    `low` and `high` are nan where there are fewer examples than `fewest`.
    """

    value: float
    low: float
    high: float
    n: int
    seeds: int = 1
    how: Literal["beta", "bootstrap", "mcb"] = "bootstrap"

    def leaves(self) -> dict[str, float]:
        """The finite numbers, by name: a leaf of metrics.json."""
        named = {"value": self.value, "low": self.low, "high": self.high}
        return {key: float(number) for key, number in named.items() if isfinite(number)} | {
            "n": self.n,
            "seeds": self.seeds,
        }


@dataclass(frozen=True)
class Draws:
    """What a bootstrap knows of M metrics: their values per seed, and again for each resample."""

    values_SM: Floats
    draws_BSM: Floats
    n: int

    def __post_init__(self) -> None:
        assert self.draws_BSM.shape[1:] == self.values_SM.shape

    @property
    def seeds(self) -> int:
        return int(self.values_SM.shape[0])


def proportion(hits: int, n: int, *, confidence: float) -> Estimate:
    """A proportion with the equal-tailed interval of its Beta posterior under Jeffreys' prior.

    Beta(hits + 1/2, misses + 1/2); the low end is 0 without hits and the high end 1 without
    misses, as Brown et al. advise.
    """
    assert 0 <= hits <= n and n > 0, (hits, n)
    tail = (1 - confidence) / 2
    posterior = stats.beta(hits + 0.5, n - hits + 0.5)
    low = float(posterior.ppf(tail)) if hits else 0.0
    high = float(posterior.ppf(1 - tail)) if hits < n else 1.0
    return Estimate(hits / n, low, high, n, how="beta")


def bootstrap(
    statistic: Statistic, n: int, *, resamples: int, seed: int, numbers: int = CHUNK_NUMBERS
) -> Draws:
    """Score `resamples` resamples of `n` examples, with replacement.

    The resamples are a function of (seed, n) alone: two models scored on the same examples meet
    the same resamples, which is what makes their difference a paired one. `numbers`: most weights at once.
    """
    rng = np.random.default_rng([seed, n])
    values_SM = statistic(np.ones((1, n)))[0]
    rows = max(1, min(resamples, numbers // n))
    parts = []
    for first in range(0, resamples, rows):
        count = min(rows, resamples - first)
        drawn = rng.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
        weights_BN = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n)
        parts.append(statistic(weights_BN.astype(np.float64)))
    return Draws(values_SM, np.concatenate(parts), n)


def means_over_seeds(draws: Draws, *, seed: int) -> Floats:
    """Draws (B, M) of the mean over seeds: resampled examples plus the spread between seeds.

    One seed: examples alone, and the interval speaks of that trained model, not of the recipe.
    """
    return np.asarray(draws.draws_BSM.mean(axis=1) + seed_noise([draws], seed=seed))


def seed_noise(models: Sequence[Draws], *, seed: int) -> Floats:
    """Draws (B, M) of what another set of seeds would add to a mean, or to a difference of means.

    The spread of the seeds' values holds example noise that the resamples already bring; it is
    taken off (method of moments) so that it does not count twice. What remains is drawn from
    Student's t, for few seeds know their own spread badly; its degrees of freedom are S - 1, or
    for a difference those of Welch and Satterthwaite.
    """
    shape = len(models[0].draws_BSM), models[0].values_SM.shape[1]
    several = [(seed_variance(draws) / draws.seeds, draws.seeds - 1) for draws in models if draws.seeds > 1]
    total_M = np.sum([variance_M for variance_M, _ in several], axis=0) if several else np.zeros(shape[1])
    if not np.any(total_M > 0):
        return np.zeros(shape)
    doubt_M = np.sum([variance_M**2 / freedom for variance_M, freedom in several], axis=0)
    with np.errstate(invalid="ignore"):
        freedom_M = np.where(total_M > 0, total_M**2 / doubt_M, 1.0)
    rng = np.random.default_rng([seed, models[0].n, *(draws.seeds for draws in models)])
    return np.asarray(rng.standard_t(freedom_M, shape) * np.sqrt(total_M))


def seed_variance(draws: Draws) -> Floats:
    """Variance (M,) between seeds beyond what the examples explain; 0 for one seed."""
    if draws.seeds == 1:
        return np.zeros(draws.values_SM.shape[1])
    observed_M = draws.values_SM.var(axis=0, ddof=1)
    return np.asarray(np.maximum(observed_M - own_variance(draws), 0))


def own_variance(draws: Draws) -> Floats:
    """Variance (M,) of one seed's value that the examples cause in it alone, not in all seeds alike."""
    assert draws.seeds > 1
    total_M = draws.draws_BSM.var(axis=0, ddof=1).mean(axis=0)
    shared_plus_M = draws.draws_BSM.mean(axis=1).var(axis=0, ddof=1)
    # mean of the S x S covariance = shared + own / S; its diagonal = shared + own
    own_M = (total_M - shared_plus_M) * draws.seeds / (draws.seeds - 1)
    return np.asarray(np.maximum(own_M, 0))


def fewest(confidence: float) -> int:
    """Examples without which there is no interval, and no verdict: 6 at 95 %.

    A bootstrap reaches no further than from the smallest value to the largest, and between these lies the
    median of what n values are drawn from in 1 - 2^(1 - n) of the cases. For the same reason no sign test of
    fewer differences has a p below 1 - `confidence`, even where all of them point one way.
    """
    return 1 + ceil(-log2(1 - confidence))


def expanded(probability: float, *, n: int) -> float:
    """A share of bootstrap draws as `interval` reads it: nearer to a half for small n (t against normal,
    n / (n - 1)), so that P(better) and the interval of the difference do not disagree.
    """
    return float(stats.t.cdf(stats.norm.ppf(probability) * sqrt((n - 1) / n), n - 1))


def interval(draws_B: Floats, *, n: int, confidence: float) -> tuple[float, float]:
    """Expanded percentiles of the draws: wider for small n by t against normal and n / (n - 1).

    Draws that are nan (a class that a resample lacks) are left out. nan for fewer than `fewest` examples.
    """
    finite_B = draws_B[np.isfinite(draws_B)]
    if n < fewest(confidence) or not finite_B.size:
        return nan, nan
    tail = float(stats.norm.cdf(-sqrt(n / (n - 1)) * stats.t.ppf((1 + confidence) / 2, n - 1)))
    low, high = np.quantile(finite_B, [tail, 1 - tail])
    return float(low), float(high)


def estimates(
    draws: Draws, *, confidence: float, seed: int, bounds: tuple[float, float] | None = None
) -> list[Estimate]:
    """One Estimate for each of the M metrics: the mean over seeds; the interval is cut to `bounds`."""
    means_BM = means_over_seeds(draws, seed=seed)
    made = []
    for metric in range(means_BM.shape[1]):
        low, high = interval(means_BM[:, metric], n=draws.n, confidence=confidence)
        if bounds:
            low, high = (nan if end != end else min(max(end, bounds[0]), bounds[1]) for end in (low, high))
        made.append(Estimate(float(draws.values_SM[:, metric].mean()), low, high, draws.n, draws.seeds))
    return made


def of_defined(estimate: Estimate, n: int, *, confidence: float) -> Estimate:
    """An estimate of which `n` examples have a value: too few leave it without an interval."""
    if n < fewest(confidence):
        return replace(estimate, low=nan, high=nan, n=n)
    return replace(estimate, n=n)
