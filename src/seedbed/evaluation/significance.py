"""Is a forecaster better by more than chance: Diebold-Mariano on losses, MCB on ranks over series.

Both stand beside the report's bootstrap verdicts, for readers who know them. The first asks about one pair
and one kind of loss; the second about all forecasters at once, and looks at ranks alone.
Shape legend: N series, K forecasters, T losses in order of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from seedbed.evaluation.intervals import Floats


@dataclass(frozen=True)
class DieboldMariano:
    """Below zero where the first forecaster loses less; nan where no difference varies."""

    statistic: float
    p: float
    n: int


def diebold_mariano(difference: ArrayLike, *, horizon: int = 1) -> DieboldMariano:
    """The test of Diebold and Mariano (1995) with the correction of Harvey, Leybourne and Newbold (1997).

    `difference` (T,): loss of the first forecaster minus loss of the second, nan left out; `horizon`: how far
    ahead both forecast, which is how long such differences overlap (its autocovariances up to horizon - 1
    enter the variance). Differences of different series do not overlap: horizon 1. Two-sided p of Student's t
    with T - 1 degrees of freedom. nan where the variance comes out at zero or below, as it can for few
    losses and a long horizon.
    """
    difference_T = np.asarray(difference, np.float64)
    difference_T = difference_T[~np.isnan(difference_T)]
    n = difference_T.size
    if n <= max(horizon, 1):
        return DieboldMariano(np.nan, np.nan, n)
    centred_T = difference_T - difference_T.mean()
    covariances = [float(centred_T[lag:] @ centred_T[: n - lag]) / n for lag in range(horizon)]
    variance = (covariances[0] + 2 * sum(covariances[1:])) / n
    if variance <= 0:
        return DieboldMariano(np.nan, np.nan, n)
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    statistic = float(difference_T.mean()) / sqrt(variance) * sqrt(correction)
    return DieboldMariano(statistic, float(2 * stats.t.sf(abs(statistic), n - 1)), n)


def mean_ranks(errors_NK: Floats) -> tuple[Floats, int]:
    """Mean rank (K,) over series, 1 the smallest error, ties shared; and the series all are scored on."""
    whole_NK = errors_NK[~np.isnan(errors_NK).any(1)]
    if not len(whole_NK):
        return np.full(errors_NK.shape[1], np.nan), 0
    return np.asarray(stats.rankdata(whole_NK, axis=1).mean(0), np.float64), len(whole_NK)


def critical_distance(num_forecasters: int, num_series: int, *, confidence: float) -> float:
    """Mean ranks further apart than this differ (Nemenyi's test; MCB: Koning et al. 2005, section 3.3).

    q sqrt(K (K + 1) / (12 N)) with q of the studentized range of K normals; half of it to either side of a
    mean rank is MCB's interval: those that do not overlap the best's are worse.
    """
    q = float(stats.studentized_range.ppf(confidence, num_forecasters, np.inf))
    return q * sqrt(num_forecasters * (num_forecasters + 1) / (12 * num_series))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p (Benjamini and Hochberg 1995): of those rejected below alpha the false are in expectation a
    share of alpha at most; for tests that are independent or rise together.

    nan (not tested) stays nan and does not count.
    """
    tested = sorted(((p, place) for place, p in enumerate(p_values) if p == p), reverse=True)
    adjusted = [np.nan] * len(p_values)
    lowest = 1.0
    for number, (p, place) in enumerate(tested):
        lowest = min(lowest, p * len(tested) / (len(tested) - number))
        adjusted[place] = lowest
    return adjusted
