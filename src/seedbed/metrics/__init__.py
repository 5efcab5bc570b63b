"""Pure functions from arrays to scores; each says its definition, unit and source."""

from seedbed.metrics.classification import (
    Counts,
    Floats,
    accuracy,
    confusion_matrix,
    confusion_scores,
    matthews_correlation,
    perplexity,
    precision_recall_f1,
    weighted_confusion,
)
from seedbed.metrics.forecasts import (
    Scale,
    mape,
    mase,
    naive_scale,
    owa,
    padded,
    rmsse,
    smape,
    smape_points,
)
from seedbed.metrics.quantiles import coverage, crps, interval_score, msis, pinball
from seedbed.metrics.texts import Words, bleu, bleu_counts, chrf, chrf_counts

__all__ = [
    "Counts",
    "Floats",
    "Scale",
    "Words",
    "accuracy",
    "bleu",
    "bleu_counts",
    "chrf",
    "chrf_counts",
    "confusion_matrix",
    "confusion_scores",
    "coverage",
    "crps",
    "interval_score",
    "mape",
    "mase",
    "matthews_correlation",
    "msis",
    "naive_scale",
    "owa",
    "padded",
    "perplexity",
    "pinball",
    "precision_recall_f1",
    "rmsse",
    "smape",
    "smape_points",
    "weighted_confusion",
]
