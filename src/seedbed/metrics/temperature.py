"""Temperature: one number for a model that is too sure, or not sure enough, of its labels.

Guo et al. 2017 (arXiv 1706.04599), section 4.2. Shapes: N examples, C classes.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars

Floats = NDArray[np.float64]
LEAST = 1e-300
"""Probabilities below this are taken as this, so that a log is finite."""
TEMPERATURES = (1e-2, 1e2)


def probabilities(frame: "polars.DataFrame") -> list[Floats]:
    """probabilities_NC of each seed, in the order of seed and id; none where the frame holds none."""
    columns = sorted((c for c in frame.columns if c.startswith("probability_")), key=lambda c: int(c[12:]))
    if not columns:
        return []
    parts = frame.sort("seed", "id").partition_by("seed", maintain_order=True)
    return [part.select(columns).to_numpy().astype(np.float64) for part in parts]


def scaled(probabilities_NC: Floats, temperature: float) -> Floats:
    """softmax(logits / temperature): log-probabilities differ from logits by a constant of the row."""
    logits_NC = np.log(np.maximum(probabilities_NC, LEAST)) / temperature
    logits_NC -= logits_NC.max(axis=1, keepdims=True)
    exponents_NC = np.exp(logits_NC)
    return np.asarray(exponents_NC / exponents_NC.sum(axis=1, keepdims=True))


def nll(probabilities_NC: Floats, labels_N: NDArray[np.int64]) -> Floats:
    """Nats (N,) of the true labels."""
    return np.asarray(-np.log(np.maximum(probabilities_NC[np.arange(len(labels_N)), labels_N], LEAST)))


def fit_temperature(probabilities_NC: Floats, labels_N: NDArray[np.int64]) -> float:
    """The temperature of least loss on these examples, within TEMPERATURES; the loss is convex in 1 / T."""
    from scipy import optimize

    low, high = (1 / bound for bound in reversed(TEMPERATURES))
    found = optimize.minimize_scalar(
        lambda log_inverse: float(nll(scaled(probabilities_NC, np.exp(-log_inverse)), labels_N).mean()),
        bounds=(np.log(low), np.log(high)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(-found.x))
