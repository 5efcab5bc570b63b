"""Pure functions from arrays to scores; each says its definition, unit and source.

Classification scores take confusion counts of shape (..., C, C), rows actual and columns
predicted, so that one call scores every resample of a bootstrap. Forecast scores are per series.
Shape legend: N examples, C classes, T time steps of history, H horizon.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def accuracy(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Fraction of examples whose predicted class is the actual one, 0..1; nan without examples."""
    actual_N, predicted_N = np.asarray(actual), np.asarray(predicted)
    assert actual_N.shape == predicted_N.shape, (actual_N.shape, predicted_N.shape)
    return float(np.mean(actual_N == predicted_N)) if actual_N.size else float("nan")


def confusion_matrix(actual: ArrayLike, predicted: ArrayLike, *, num_classes: int) -> Counts:
    """Counts (C, C): row = actual class, column = predicted class, as scikit-learn lays them out."""
    actual_N, predicted_N = np.asarray(actual, np.int64), np.asarray(predicted, np.int64)
    assert actual_N.shape == predicted_N.shape, (actual_N.shape, predicted_N.shape)
    for name, classes in (("actual", actual_N), ("predicted", predicted_N)):
        if classes.size and not (classes.min() >= 0 and classes.max() < num_classes):
            raise ValueError(
                f"{name}: classes {classes.min()}..{classes.max()}, allowed 0..{num_classes - 1}"
            )
    cells = np.bincount(actual_N * num_classes + predicted_N, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)


def precision_recall_f1(
    confusion: ArrayLike,
    *,
    average: Literal["macro", "micro"] | None = None,
    classes: Literal["present", "all"] = "present",
    zero_division: float = 0.0,
) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1, 0..1, from counts (..., C, C).

    Per class (..., C) with `average=None`, else (...). precision = tp / predicted, recall =
    tp / actual, F1 = 2 tp / (actual + predicted); where a denominator is 0 the score is
    `zero_division` (0, 1 or nan; nan classes are left out of the macro mean), all as
    scikit-learn's `precision_recall_fscore_support`. The macro mean is over classes that occur as
    actual or predicted (scikit-learn without `labels`), or over all C (`labels=range(C)`).
    """
    confusion_CC = np.asarray(confusion, np.float64)
    hits = np.diagonal(confusion_CC, axis1=-2, axis2=-1)
    actual, predicted = confusion_CC.sum(-1), confusion_CC.sum(-2)
    present = (actual + predicted) > 0 if classes == "present" else np.ones(hits.shape, bool)
    if average == "micro":
        hits, actual, predicted = hits.sum(-1), actual.sum(-1), predicted.sum(-1)
    scores = (
        _ratio(hits, predicted, zero_division),
        _ratio(hits, actual, zero_division),
        _ratio(2 * hits, actual + predicted, zero_division),
    )
    if average == "macro":
        precision, recall, f1 = (_mean_where(s, present & ~np.isnan(s)) for s in scores)
        return precision, recall, f1
    return scores


def _ratio(part: Floats, whole: Floats, zero_division: float) -> Floats:
    safe = np.where(whole > 0, whole, 1.0)
    return np.where(whole > 0, part / safe, zero_division)


def _mean_where(values: Floats, kept: NDArray[np.bool_]) -> Floats:
    count = kept.sum(-1)
    total = np.where(kept, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def matthews_correlation(confusion: ArrayLike) -> Floats:
    """Matthews correlation of counts (..., C, C), -1..1; Gorodkin (2004) R_K for more than two classes.

    0 where all examples are of one class or predicted as one, as scikit-learn's `matthews_corrcoef`.
    """
    confusion_CC = np.asarray(confusion, np.float64)
    actual, predicted = confusion_CC.sum(-1), confusion_CC.sum(-2)
    total = actual.sum(-1)
    covariance = np.trace(confusion_CC, axis1=-2, axis2=-1) * total - (actual * predicted).sum(-1)
    spread_actual = total**2 - (actual**2).sum(-1)
    spread_predicted = total**2 - (predicted**2).sum(-1)
    return _ratio(covariance, np.sqrt(spread_actual) * np.sqrt(spread_predicted), 0.0)


def perplexity(total_loss: float, count: float) -> float:
    """exp(mean negative log likelihood in nats per token), >= 1; inf when it overflows."""
    with np.errstate(over="ignore"):
        return float(np.exp(np.float64(total_loss) / count)) if count else float("nan")


def smape(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Symmetric MAPE, per cent, 0..200: mean of 200 |y - f| / (|y| + |f|).

    Makridakis and Hibon (2000) for M3, Makridakis et al. (2020) for M4. A point where both are
    zero is a perfect forecast and counts 0.
    """
    return float(np.mean(smape_points(actual, forecast)))


def smape_points(actual: ArrayLike, forecast: ArrayLike) -> Floats:
    """The terms of `smape`, one per point: the M3 tables average them over all points of all series."""
    actual_H, forecast_H = _pair(actual, forecast)
    return 200 * _ratio(np.abs(actual_H - forecast_H), np.abs(actual_H) + np.abs(forecast_H), 0.0)


def mape(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Mean of 100 |y - f| / |y|, per cent, 0..inf (Tourism: Athanasopoulos et al. 2011).

    Undefined, and nan, when any actual value is zero.
    """
    actual_H, forecast_H = _pair(actual, forecast)
    if np.any(actual_H == 0):
        return float("nan")
    return float(np.mean(100 * np.abs((actual_H - forecast_H) / actual_H)))


def naive_scale(history: ArrayLike, *, seasonality: int) -> float:
    """Mean absolute error in sample of the seasonal naive forecast: mean of |y_t - y_(t-m)|.

    The denominator of MASE (Hyndman and Koehler 2006, section 3). nan when the history is not
    longer than the season, 0 when it repeats itself exactly: MASE is then undefined.
    """
    history_T = np.asarray(history, np.float64)
    assert seasonality >= 1, seasonality
    if history_T.size <= seasonality:
        return float("nan")
    return float(np.mean(np.abs(history_T[seasonality:] - history_T[:-seasonality])))


def mase(actual: ArrayLike, forecast: ArrayLike, *, history: ArrayLike, seasonality: int) -> float:
    """Mean |y - f| over `naive_scale(history)`: 1 is the in-sample seasonal naive; no unit.

    Of one series; a panel's MASE is the mean over its series (M4 guide). nan where the scale is
    zero or undefined: such series are counted apart, never dropped in silence.
    """
    actual_H, forecast_H = _pair(actual, forecast)
    scale = naive_scale(history, seasonality=seasonality)
    return float(np.mean(np.abs(actual_H - forecast_H)) / scale) if scale > 0 else float("nan")


def rmsse(actual: ArrayLike, forecast: ArrayLike, *, history: ArrayLike, seasonality: int = 1) -> float:
    """Root of mean (y - f)^2 over the mean squared in-sample (seasonal) naive error; no unit.

    Makridakis et al. (2022), M5, with seasonality 1 and the history from its first non-zero
    value. nan where the scale is zero or undefined.
    """
    actual_H, forecast_H = _pair(actual, forecast)
    history_T = np.trim_zeros(np.asarray(history, np.float64), "f")
    if history_T.size <= seasonality:
        return float("nan")
    scale = float(np.mean((history_T[seasonality:] - history_T[:-seasonality]) ** 2))
    return float(np.sqrt(np.mean((actual_H - forecast_H) ** 2) / scale)) if scale > 0 else float("nan")


def owa(smape: ArrayLike, mase: ArrayLike, *, naive2_smape: ArrayLike, naive2_mase: ArrayLike) -> Floats:
    """Overall weighted average: mean of sMAPE and MASE, each relative to Naive2's; 1 is Naive2, no unit.

    Makridakis et al. (2020), M4. Takes the *means over the panel* (arrays are element-wise): the
    ratio of means, not the mean of ratios.
    """
    relative_smape = np.asarray(smape, np.float64) / np.asarray(naive2_smape, np.float64)
    relative_mase = np.asarray(mase, np.float64) / np.asarray(naive2_mase, np.float64)
    return np.asarray((relative_smape + relative_mase) / 2, np.float64)


def _pair(actual: ArrayLike, forecast: ArrayLike) -> tuple[Floats, Floats]:
    actual_H, forecast_H = np.asarray(actual, np.float64), np.asarray(forecast, np.float64)
    assert actual_H.shape == forecast_H.shape and actual_H.size, (actual_H.shape, forecast_H.shape)
    return actual_H, forecast_H
