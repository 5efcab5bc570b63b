"""Pearson's and Spearman's correlation of weighted examples, so that one call scores every resample.

Shapes: N examples, B resamples. Weights of 1 give the ordinary correlation.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
STILL = 1e-12
"""What deviates from its mean by no more than this share of its size does not vary: equal numbers less their
mean leave its last bits."""


def pearson(actual_N: Floats, predicted_N: Floats, weights_BN: Floats | None = None) -> Floats:
    """Linear correlation (B,), -1..1; nan where the actual side does not vary, as scipy.stats.pearsonr.

    0 where the predicted side alone does not vary, as Matthews' correlation of one guess is: who says the
    same of every text knows nothing, and can be compared. scipy has nan there.
    """
    return _pearson(actual_N[None], predicted_N[None], _weights(actual_N, weights_BN))


def spearman(actual_N: Floats, predicted_N: Floats, weights_BN: Floats | None = None) -> Floats:
    """`pearson` of ranks, ties sharing the mean of theirs, as scipy.stats.spearmanr."""
    weights_BN = _weights(actual_N, weights_BN)
    return _pearson(ranks(actual_N, weights_BN), ranks(predicted_N, weights_BN), weights_BN)


def ranks(values_N: Floats, weights_BN: Floats) -> Floats:
    """Mid-ranks (B, N) of values that occur as often as their weights say."""
    distinct, place_N = np.unique(values_N, return_inverse=True)
    counts = np.zeros((len(weights_BN), len(distinct)))
    np.add.at(counts.T, place_N, weights_BN.T)
    below = np.cumsum(counts, axis=1) - counts
    return np.asarray((below + (counts + 1) / 2)[:, place_N], dtype=np.float64)


def _weights(values_N: Floats, weights_BN: Floats | None) -> Floats:
    return np.ones((1, len(values_N))) if weights_BN is None else weights_BN


def _pearson(x_BN: Floats, y_BN: Floats, weights_BN: Floats) -> Floats:
    # centred first: sums of squares of raw values lose digits
    x_BN, x_varies_B = _centred(x_BN, weights_BN)
    y_BN, y_varies_B = _centred(y_BN, weights_BN)
    spread_B = np.sqrt((weights_BN * x_BN**2).sum(1) * (weights_BN * y_BN**2).sum(1))
    together_B = (weights_BN * x_BN * y_BN).sum(1)
    correlation_B = np.where(y_varies_B, together_B / np.where(x_varies_B & y_varies_B, spread_B, 1.0), 0.0)
    return np.where(x_varies_B, correlation_B, np.nan)


def _centred(values_BN: Floats, weights_BN: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Less the mean of its row; and does the row vary?"""
    centred_BN = values_BN - (weights_BN * values_BN).sum(1, keepdims=True) / weights_BN.sum(1, keepdims=True)
    size_B = (weights_BN * values_BN**2).sum(1)
    return centred_BN, (weights_BN * centred_BN**2).sum(1) > STILL**2 * size_B
