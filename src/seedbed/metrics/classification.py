"""Scores of classes and of tokens: accuracy, precision, recall, F1, Matthews, perplexity.

Most take confusion counts of shape (..., C, C), rows actual and columns predicted, so that one call scores
every resample of a bootstrap. Shape legend: N examples, C classes, B resamples.
"""

from collections.abc import Callable
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


def weighted_confusion(
    actual: ArrayLike, predicted: ArrayLike, *, num_classes: int
) -> Callable[[Floats], Floats]:
    """`confusion_matrix` of weighted examples: from weights (B, N) to counts (B, C, C).

    Each example is added to its own cell; nothing is held of the cells that no example is in but the zeros of
    the answer.
    """
    cell_N = np.asarray(actual, np.int64) * num_classes + np.asarray(predicted, np.int64)
    order_N = np.argsort(cell_N, kind="stable")
    cells, starts = np.unique(cell_N[order_N], return_index=True)

    def counts(weights_BN: Floats) -> Floats:
        flat = np.zeros((len(weights_BN), num_classes**2))
        flat[:, cells] = np.add.reduceat(weights_BN[:, order_N], starts, axis=1)
        return flat.reshape(-1, num_classes, num_classes)

    return counts


def confusion_scores(confusion: ArrayLike) -> dict[str, Floats]:
    """Scores (...) by name from counts (..., C, C): accuracy, the macro means, Matthews'; `f1` is the last
    class's, `accuracy_f1` its mean with accuracy."""
    confusion_CC = np.asarray(confusion, np.float64)
    accuracy = np.trace(confusion_CC, axis1=-2, axis2=-1) / confusion_CC.sum((-2, -1))
    precision, recall, macro_f1 = precision_recall_f1(confusion_CC, average="macro")
    last_f1 = precision_recall_f1(confusion_CC)[2][..., -1]
    return {
        "accuracy": accuracy,
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": macro_f1,
        "matthews": matthews_correlation(confusion_CC),
        "f1": last_f1,
        "accuracy_f1": np.asarray((accuracy + last_f1) / 2),
    }


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
