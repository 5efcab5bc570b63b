"""Scores of prediction intervals and of forecast quantiles, of one series or of a whole panel in one call.

As in `forecasts`: the last axis is time, nan is a gap and left out. A level is a number between 0 and 1 here
(0.9 is the interval that should hold nine values of ten); file columns call it 90.
Shape legend: ... any leading axes, H horizon, Q quantiles.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from seedbed.metrics.forecasts import Floats, Scale, mean_known, naive_scale, over, pair


def coverage(actual: ArrayLike, *, low: ArrayLike, high: ArrayLike) -> Floats:
    """Share of points inside the interval, its ends included, 0..1."""
    return mean_known(inside(actual, low=low, high=high))


def inside(actual: ArrayLike, *, low: ArrayLike, high: ArrayLike) -> Floats:
    """1 where a point lies in the interval, 0 where outside, nan where either is unknown."""
    (actual_H, low_H), (_, high_H) = pair(actual, low), pair(actual, high)
    known_H = ~(np.isnan(actual_H) | np.isnan(low_H) | np.isnan(high_H))
    return np.where(known_H, ((low_H <= actual_H) & (actual_H <= high_H)).astype(np.float64), np.nan)


def interval_score(actual: ArrayLike, *, low: ArrayLike, high: ArrayLike, level: float) -> Floats:
    """Winkler's score, in the series' unit: the width, and 2 / (1 - level) for each unit that misses it.

    Winkler (1972); Gneiting and Raftery (2007), section 6.2. Mean over points; lower is better.
    """
    assert 0 < level < 1, level
    (actual_H, low_H), (_, high_H) = pair(actual, low), pair(actual, high)
    missed_H = np.maximum(low_H - actual_H, 0) + np.maximum(actual_H - high_H, 0)
    return mean_known(high_H - low_H + 2 / (1 - level) * missed_H)


def msis(
    actual: ArrayLike,
    *,
    low: ArrayLike,
    high: ArrayLike,
    level: float,
    history: ArrayLike,
    seasonality: int,
    scale: Scale = "m4",
) -> Floats:
    """Mean scaled interval score: `interval_score` over MASE's scale; no unit (M4 guide, at level 0.95)."""
    score = interval_score(actual, low=low, high=high, level=level)
    return over(score, naive_scale(history, seasonality=seasonality, scale=scale))


def pinball(actual: ArrayLike, quantile: ArrayLike, *, q: float) -> Floats:
    """Quantile loss, in the series' unit: q (y - f) where y is above, (1 - q) (f - y) where below; mean.

    Koenker and Bassett (1978). Half the absolute error at q = 0.5; GluonTS doubles it.
    """
    assert 0 < q < 1, q
    actual_H, quantile_H = pair(actual, quantile)
    above_H = actual_H - quantile_H
    return mean_known(np.maximum(q * above_H, (q - 1) * above_H))


Spacing = Literal["even", "known"]
"""What a quantile stands for in `crps`.

even: each for the same share, as in utilsforecast: right for q = (i - 1/2) / Q. known: for the probabilities
that are nearer to it than to another, so that ends of a few intervals, which lie unevenly, count as they lie.
Of evenly spaced ones both are the same.
"""


def crps(actual: ArrayLike, quantiles: ArrayLike, *, q: ArrayLike, spacing: Spacing = "even") -> Floats:
    """Continuous ranked probability score from quantiles (Q, ..., H) at `q` (Q,), in the series' unit.

    Twice the mean pinball loss, which becomes the CRPS as quantiles become many (Gneiting and Ranjan 2011,
    section 2); of a single value it is the absolute error. With q = (i - 1/2) / Q it is to the digit the CRPS
    of the Q values as an ensemble (properscoring's crps_ensemble; Broecker 2012). utilsforecast's mqloss is
    half of it, its scaled_crps this over the mean |y|.
    """
    levels_Q, forecasts_QH = np.asarray(q, np.float64), np.asarray(quantiles, np.float64)
    assert len(levels_Q) == len(forecasts_QH) > 0, (levels_Q.shape, forecasts_QH.shape)
    losses = [pinball(actual, one, q=float(at)) for at, one in zip(levels_Q, forecasts_QH, strict=True)]
    weights_Q = None if spacing == "even" else shares(levels_Q)
    return np.asarray(2 * np.average(losses, axis=0, weights=weights_Q), np.float64)[()]


def shares(q: Floats) -> Floats:
    """(Q,) of ascending probabilities the length of what is nearer to each than to another, within 0..1."""
    assert bool(np.all(np.diff(q) > 0)), q
    edges = np.concatenate([[0.0], (q[1:] + q[:-1]) / 2, [1.0]])
    return np.asarray(np.diff(edges), np.float64)
