"""Tests beside the intervals: approximate randomisation, Holm's correction, and how many seeds more.

Randomisation: Noreen (1989), chapter 2; Yeh (2000, arXiv cs/0008005) on why metrics such as F1 need it.
Shape legend: N examples, S seeds, B shuffles or resamples, C classes, K cells of a confusion matrix in use,
M metrics.
"""

from collections.abc import Callable, Sequence
from math import inf, nan

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse, stats

from seedbed.evaluation.classification import Classified
from seedbed.evaluation.intervals import CHUNK_NUMBERS, Draws, Floats, own_variance, seed_variance
from seedbed.evaluation.scored import Answered

MOST_SEEDS = 1000
"""Beyond this many seeds on either side, more examples are the better purchase."""


def randomisation(
    a: Classified,
    b: Classified,
    metric: Callable[[Floats], Floats],
    *,
    shuffles: int,
    seed: int,
) -> float:
    """Two-sided p of the hypothesis that the labels `a` and `b` of the predictions may be exchanged.

    `metric` maps confusion counts (..., C, C) to values (...); it is taken of the counts averaged over
    seeds, so the sides may have different numbers of them. A shuffle exchanges all predictions of an example
    or none: seeds that saw the same example are not independent evidence. The test speaks of these trained
    models; what other seeds would do is in the interval. Never below 1 / (shuffles + 1), as the data
    themselves are one shuffle (Phipson and Smyth 2010, arXiv 1603.05766).
    """
    assert a.comparable(b), (a.run, b.run)
    classes = len(a.label_names)
    cells, (mean_a_NK, mean_b_NK) = _cells(a, b)
    change_NK = (mean_b_NK - mean_a_NK).tocsr()
    total_a_K, total_b_K = (np.asarray(mean.sum(axis=0)).ravel() for mean in (mean_a_NK, mean_b_NK))

    def difference(moved_BK: Floats) -> Floats:
        sides = []
        for counts_BK in (total_a_K + moved_BK, total_b_K - moved_BK):
            whole_BC = np.zeros((len(moved_BK), classes * classes))
            whole_BC[:, cells] = counts_BK
            sides.append(metric(whole_BC.reshape(-1, classes, classes)))
        return sides[0] - sides[1]

    return _share(
        lambda swapped_BN: difference(swapped_BN @ change_NK),
        n=a.n,
        width=max(a.n, classes * classes),
        shuffles=shuffles,
        seed=seed,
    )


def of_answers(a: Answered, b: Answered, metric: str, *, shuffles: int, seed: int) -> float:
    """The same test where answers are no labels: `metric` is taken of the rows of all seeds of a side at
    once, each example weighing one in all, and a shuffle exchanges all rows of an example or none.

    nan where the metric is not defined on the data (a correlation with published numbers that do not vary).
    """
    score = a.judge.statistics(pl.concat([*a.parts, *b.parts]))[metric]

    def difference(swapped_BN: Floats) -> Floats:
        sides = []
        for of_a, of_b in ((1 - swapped_BN, swapped_BN), (swapped_BN, 1 - swapped_BN)):
            columns = [of_a / len(a.seeds)] * len(a.seeds) + [of_b / len(b.seeds)] * len(b.seeds)
            sides.append(score(np.concatenate(columns, axis=1)))
        return np.asarray(sides[0] - sides[1])

    width = a.n * (len(a.seeds) + len(b.seeds))
    return _share(difference, n=a.n, width=width, shuffles=shuffles, seed=seed)


def _share(difference: Callable[[Floats], Floats], *, n: int, width: int, shuffles: int, seed: int) -> float:
    """The share of shuffles, the data themselves among them, whose difference is as large as the one seen.

    `difference` maps which examples are exchanged (B, N) to differences (B,); it holds `width` numbers a row.
    """
    observed = abs(float(difference(np.zeros((1, n)))[0]))
    if observed != observed:
        return nan
    rng = np.random.default_rng([seed, n])
    rows = max(1, min(shuffles, CHUNK_NUMBERS // width))
    extreme = 0
    for first in range(0, shuffles, rows):
        swapped_BN = rng.integers(0, 2, (min(rows, shuffles - first), n)).astype(np.float64)
        # sums of the same numbers in another order may differ in their last bits; nan is no less extreme
        extreme += int(np.sum(~(np.abs(difference(swapped_BN)) < observed - 1e-12)))
    return (extreme + 1) / (shuffles + 1)


def _cells(*runs: Classified) -> tuple[NDArray[np.int64], list[sparse.csr_array]]:
    """The confusion cells that any run uses, and the share of each run's seeds in each (N, K)."""
    classes = len(runs[0].label_names)
    cells_SN = [run.labels_N * classes + run.predicted_SN for run in runs]
    used = np.unique(np.concatenate([cells.ravel() for cells in cells_SN]))
    shares = []
    for cells in cells_SN:
        seeds, n = cells.shape
        place = np.tile(np.arange(n), seeds), np.searchsorted(used, cells.ravel())
        shares.append(sparse.coo_array((np.full(seeds * n, 1 / seeds), place), (n, len(used))).tocsr())
    return used, shares


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p: of those rejected below alpha any is false with probability alpha at most.

    nan (not tested) stays nan and does not count in the family.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p == p)
    adjusted = [nan] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        adjusted[place] = highest
    return adjusted


def more_seeds(a: Draws, b: Draws, *, column: int = 0, confidence: float, power: float) -> float:
    """Seeds to add on each side, so that a true difference as large as the one seen is found with `power`.

    The error of a difference of means over S seeds each has three parts: the examples' that both sides and
    all seeds share, which no seed removes; each seed's own noise on the examples, and the spread between
    seeds, which fall as 1 / S. The smallest S for which the difference reaches (t + t_power) standard errors,
    with 2 S - 2 degrees of freedom as for two samples (Cohen 1988, section 2.4). inf: no number of seeds
    does, the test set is too small for this difference. nan: one side has a single seed, which knows nothing
    of its spread.
    """
    if min(a.seeds, b.seeds) < 2:
        return nan
    difference = abs(float(a.values_SM[:, column].mean() - b.values_SM[:, column].mean()))
    own = sum(float(own_variance(draws)[column]) for draws in (a, b))
    spread = sum(float(seed_variance(draws)[column]) for draws in (a, b))
    paired_B = a.draws_BSM[:, :, column].mean(axis=1) - b.draws_BSM[:, :, column].mean(axis=1)
    paired_B = paired_B[np.isfinite(paired_B)]
    noise = sum(float(own_variance(draws)[column]) / draws.seeds for draws in (a, b))
    shared = max(float(paired_B.var(ddof=1)) - noise, 0.0) if paired_B.size > 1 else nan
    for seeds in range(2, MOST_SEEDS + 1):
        freedom = 2 * seeds - 2
        reach = stats.t.ppf((1 + confidence) / 2, freedom) + stats.t.ppf(power, freedom)
        if difference > 0 and difference >= reach * np.sqrt(shared + (own + spread) / seeds):
            return float(max(0, seeds - min(a.seeds, b.seeds)))
    return inf
