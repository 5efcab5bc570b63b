"""Errors of point forecasts, of one series or of a whole panel in one call.

The last axis is time; whatever stands before it is series (windows, resamples), and is what remains. A nan in
the actual values or the forecast is a gap: the point is left out, and a series without any point scores nan.
Histories of different lengths are rows padded with nan (`padded`).

Libraries agree on names more than on definitions; where a number must meet theirs:

- sMAPE here is per cent, 0 to 200, as in M3, M4, GluonTS and darts; utilsforecast's is ours / 200, sktime's
  ours / 100. The M3 tables average over all points of all series (`smape_points`), M4's over series first.
- MAPE here is undefined with a zero among the actual values; utilsforecast leaves such points out (`zeros`).
- MASE differs in the scale beneath it: see `Scale`.

Shape legend: ... any leading axes, H horizon, T time steps of history.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Scale = Literal["m4", "non_seasonal", "gluonts"]
"""Which in-sample naive error is 1.

m4: the seasonal one, undefined where the history is no longer than the season (M4 guide; utilsforecast;
sktime with sp, darts with m set to the season). non_seasonal: one step, whatever the season (Hyndman and
Koehler 2006, section 3; the default of sktime and darts). gluonts: the seasonal one, one step where the
history is no longer than the season (GluonTS; the Monash archive).
"""


def padded(series: Sequence[ArrayLike]) -> Floats:
    """Series of different lengths as rows (N, T), the shorter ones with nan before their first value."""
    rows = [np.asarray(one, np.float64) for one in series]
    longest = max((row.size for row in rows), default=0)
    made_NT = np.full((len(rows), longest), np.nan)
    for row, values in zip(made_NT, rows, strict=True):
        row[longest - values.size :] = values
    return made_NT


def smape(actual: ArrayLike, forecast: ArrayLike) -> Floats:
    """Symmetric MAPE, per cent, 0..200: mean of 200 |y - f| / (|y| + |f|).

    Makridakis and Hibon (2000) for M3 (there without the bars in the denominator: the same for values above
    zero), Makridakis et al. (2020) for M4. A point where both are zero is a perfect forecast and counts 0.
    """
    return mean_known(smape_points(actual, forecast))


def smape_points(actual: ArrayLike, forecast: ArrayLike) -> Floats:
    """The terms of `smape`, one per point: the M3 tables average them over all points of all series."""
    actual_H, forecast_H = pair(actual, forecast)
    size_H = np.abs(actual_H) + np.abs(forecast_H)
    return 200 * np.abs(actual_H - forecast_H) / np.where(size_H == 0, 1.0, size_H)


def mape(
    actual: ArrayLike, forecast: ArrayLike, *, zeros: Literal["undefined", "left_out"] = "undefined"
) -> Floats:
    """Mean of 100 |y - f| / |y|, per cent, 0..inf (Tourism: Athanasopoulos et al. 2011).

    A zero among the actual values makes it nan, or is left out.
    """
    actual_H, forecast_H = pair(actual, forecast)
    zero_H = actual_H == 0
    relative_H = 100 * np.abs(actual_H - forecast_H) / np.where(zero_H, np.nan, np.abs(actual_H))
    score = mean_known(relative_H)
    return score if zeros == "left_out" else where(zero_H.any(-1), np.nan, score)


def naive_scale(history: ArrayLike, *, seasonality: int, scale: Scale = "m4") -> Floats:
    """Mean absolute error in sample of the (seasonal) naive forecast: mean of |y_t - y_(t-m)|.

    The denominator of MASE. Pairs with a gap are left out; nan where no pair is left, 0 where the history
    repeats itself exactly: MASE is then undefined.
    """
    return mean_known(np.abs(_differences(history, seasonality, scale)))


def _differences(history: ArrayLike, seasonality: int, scale: Scale) -> Floats:
    """(..., T) of history (..., T): y_t - y_(t-m), nan where there is none."""
    assert seasonality >= 1, seasonality
    history_T = np.asarray(history, np.float64)
    season = 1 if scale == "non_seasonal" else seasonality
    made_T = np.full(history_T.shape, np.nan)
    made_T[..., season:] = history_T[..., season:] - history_T[..., :-season]
    if scale == "gluonts" and season > 1:
        single_T = _differences(history_T, 1, "m4")
        made_T = np.where(np.isnan(made_T).all(-1, keepdims=True), single_T, made_T)
    return made_T


def mase(
    actual: ArrayLike, forecast: ArrayLike, *, history: ArrayLike, seasonality: int, scale: Scale = "m4"
) -> Floats:
    """Mean |y - f| over `naive_scale(history)`: 1 is the in-sample seasonal naive; no unit.

    Of a series; a panel's MASE is the mean over its series (M4 guide). nan where the scale is zero or
    undefined (utilsforecast: inf): such series are counted apart, never dropped in silence.
    """
    actual_H, forecast_H = pair(actual, forecast)
    return over(
        mean_known(np.abs(actual_H - forecast_H)),
        naive_scale(history, seasonality=seasonality, scale=scale),
    )


def rmsse(actual: ArrayLike, forecast: ArrayLike, *, history: ArrayLike, seasonality: int = 1) -> Floats:
    """Root of mean (y - f)^2 over the mean squared in-sample (seasonal) naive error; no unit.

    Makridakis et al. (2022), M5, with seasonality 1 and the history from its first value that is not zero
    (utilsforecast keeps the zeros before). nan where the scale is zero or undefined.
    """
    actual_H, forecast_H = pair(actual, forecast)
    history_T = np.asarray(history, np.float64)
    begun_T = np.logical_or.accumulate(np.nan_to_num(history_T) != 0, axis=-1)
    differences_T = _differences(np.where(begun_T, history_T, np.nan), seasonality, "m4")
    error, error_exponent = _mean_square(actual_H - forecast_H)
    scale, scale_exponent = _mean_square(differences_T)
    score: Floats = np.ldexp(np.sqrt(over(error, scale)), error_exponent - scale_exponent)
    return score


def _mean_square(points_H: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """The mean of squares of points over 2^exponent, and the exponent: squares of 1e200 are no numbers.

    A power of two changes no digit.
    """
    largest = np.nan_to_num(np.abs(points_H)).max(-1, initial=0.0)
    exponent = np.frexp(largest)[1]
    return mean_known(np.ldexp(points_H, -exponent[..., None]) ** 2), exponent


def owa(smape: ArrayLike, mase: ArrayLike, *, naive2_smape: ArrayLike, naive2_mase: ArrayLike) -> Floats:
    """Overall weighted average: mean of sMAPE and MASE, each relative to Naive2's; 1 is Naive2, no unit.

    Makridakis et al. (2020), M4. Takes the *means over the panel* (arrays are element-wise): the
    ratio of means, not the mean of ratios.
    """
    relative_smape = np.asarray(smape, np.float64) / np.asarray(naive2_smape, np.float64)
    relative_mase = np.asarray(mase, np.float64) / np.asarray(naive2_mase, np.float64)
    return np.asarray((relative_smape + relative_mase) / 2, np.float64)


def mean_known(points_H: Floats) -> Floats:
    """Mean over the last axis of what is not nan; nan where nothing is."""
    known_H = ~np.isnan(points_H)
    count = known_H.sum(-1)
    total = np.where(known_H, points_H, 0.0).sum(-1)
    return where(count > 0, total / np.maximum(count, 1), np.nan)


def over(error: Floats, scale: Floats) -> Floats:
    """error / scale; nan where the scale is zero or nan."""
    positive = scale > 0
    return where(positive, error / np.where(positive, scale, 1.0), np.nan)


def where(condition: NDArray[np.bool_], yes: ArrayLike, no: ArrayLike) -> Floats:
    """`np.where`, a scalar where there is no axis."""
    chosen: Floats = np.where(condition, yes, no)[()]
    return chosen


def pair(actual: ArrayLike, forecast: ArrayLike) -> tuple[Floats, Floats]:
    actual_H, forecast_H = np.asarray(actual, np.float64), np.asarray(forecast, np.float64)
    assert actual_H.shape == forecast_H.shape and actual_H.size, (actual_H.shape, forecast_H.shape)
    return actual_H, forecast_H
