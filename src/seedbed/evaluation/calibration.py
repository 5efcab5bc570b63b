"""Calibration: is a prediction made with 80 % confidence right 80 % of the time?

Expected calibration error and temperature scaling: Guo et al. 2017 (arXiv 1706.04599), sections 2 and 4.2;
bins of equal mass: Nixon et al. 2019 (arXiv 1904.01685), section 3.
Shape legend: N examples, S seeds, C classes, B resamples, K bins, M measures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seedbed.evaluation.classification import Classified
from seedbed.evaluation.intervals import Draws, Estimate, Floats, Statistic, bootstrap, estimates
from seedbed.metrics.temperature import fit_temperature, nll, probabilities, scaled

BINS = 15
"""As Guo et al. count them."""
MEASURES = ("nll", "ece", "ece_equal_mass")


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability diagram."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Calibrated:
    """A run's calibration on test, as it came and after scaling by temperatures fitted on valid."""

    run: str
    temperatures: tuple[float, ...]
    """One for each seed; above 1 the model was too sure of itself."""
    before: Mapping[str, Estimate]
    after: Mapping[str, Estimate]
    expected: float
    """The `ece` that a perfectly calibrated model of the same confidences would show: the measure is biased
    upwards by about this much, and more with fewer examples."""
    reliability: Sequence[Bin]
    reliability_after: Sequence[Bin]


def bin_numbers(confidence_N: Floats, *, equal_mass: bool, bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each example: (k/K, (k+1)/K] of confidence, or K groups as equal in size as ties allow."""
    if equal_mass:
        ranked_N = np.sort(confidence_N)
        edges = ranked_N[(np.arange(1, bins) * len(ranked_N)) // bins]
        return np.asarray(np.searchsorted(edges, confidence_N, side="right"), np.int64)
    return np.asarray(np.clip(np.ceil(confidence_N * bins) - 1, 0, bins - 1), np.int64)


def gaps(
    confidence_N: Floats, correct_N: Floats, weights_BN: Floats, *, equal_mass: bool, bins: int = BINS
) -> Floats:
    """Expected calibration error (B,): sum over bins of |weighted correct - weighted confidence|, over N.

    Bins of equal mass are those of the sample itself and stay as they are in its resamples.
    """
    number_N = bin_numbers(confidence_N, equal_mass=equal_mass, bins=bins)
    member_NK = np.eye(bins)[number_N] * (correct_N - confidence_N)[:, None]
    return np.asarray(np.abs(weights_BN @ member_NK).sum(1) / weights_BN.sum(1))


def reliability(confidence_N: Floats, correct_N: Floats, *, bins: int = BINS) -> list[Bin]:
    """The bins of equal width that hold examples, from the lowest confidence."""
    number_N = bin_numbers(confidence_N, equal_mass=False, bins=bins)
    return [
        Bin(float(confidence_N[of].mean()), float(correct_N[of].mean()), int(of.sum()))
        for of in (number_N == number for number in range(bins))
        if of.any()
    ]


def statistic(probabilities_SNC: Sequence[Floats], labels_N: NDArray[np.int64]) -> Statistic:
    """MEASURES of weighted examples, for each seed."""
    sides = [
        (p_NC.max(1), (p_NC.argmax(1) == labels_N).astype(np.float64), nll(p_NC, labels_N))
        for p_NC in probabilities_SNC
    ]

    def score(weights_BN: Floats) -> Floats:
        columns = [
            np.stack(
                [
                    weights_BN @ nats_N / weights_BN.sum(1),
                    gaps(confidence_N, correct_N, weights_BN, equal_mass=False),
                    gaps(confidence_N, correct_N, weights_BN, equal_mass=True),
                ],
                axis=1,
            )
            for confidence_N, correct_N, nats_N in sides
        ]
        return np.stack(columns, axis=1)

    return score


def calibrate(
    run: Classified, valid: pl.DataFrame, *, confidence: float, resamples: int, seed: int
) -> Calibrated | None:
    """Fit each seed's temperature on `valid` predictions, score both on test; None without probabilities."""
    tested = probabilities(run.frame)
    if not tested:
        return None
    temperatures = []
    for number in run.seeds:
        of_seed = valid.filter(pl.col("seed") == number).sort("id")
        temperatures.append(fit_temperature(probabilities(of_seed)[0], of_seed["label"].to_numpy()))
    cooled = [scaled(p_NC, t) for p_NC, t in zip(tested, temperatures, strict=True)]

    def measured(probabilities_SNC: list[Floats]) -> dict[str, Estimate]:
        drawn = bootstrap(statistic(probabilities_SNC, run.labels_N), run.n, resamples=resamples, seed=seed)
        # resamples repeat examples, which raises an error of bins by itself: that bias is taken off
        centred_BSM = drawn.draws_BSM - drawn.draws_BSM.mean(axis=0) + drawn.values_SM
        centred = Draws(drawn.values_SM, centred_BSM, run.n)
        loss, share = (
            estimates(centred, confidence=confidence, seed=seed, bounds=(0.0, highest))
            for highest in (float("inf"), 1.0)
        )
        return dict(zip(MEASURES, (loss[0], *share[1:]), strict=True))

    def curve(probabilities_SNC: list[Floats]) -> list[Bin]:
        sure, right = zip(*((p.max(1), p.argmax(1) == run.labels_N) for p in probabilities_SNC), strict=True)
        return reliability(np.concatenate(sure), np.concatenate(right).astype(np.float64))

    return Calibrated(
        run=run.run,
        temperatures=tuple(temperatures),
        before=measured(tested),
        after=measured(cooled),
        expected=float(np.mean([expected_error(p_NC.max(1), seed=seed) for p_NC in tested])),
        reliability=curve(tested),
        reliability_after=curve(cooled),
    )


def expected_error(confidence_N: Floats, *, seed: int, simulations: int = 200) -> float:
    """The mean expected calibration error of examples that are right exactly as often as they are sure."""
    rng = np.random.default_rng([seed, len(confidence_N)])
    ones_1N = np.ones((1, len(confidence_N)))
    return float(
        np.mean(
            [
                gaps(
                    confidence_N,
                    (rng.random(len(confidence_N)) < confidence_N).astype(np.float64),
                    ones_1N,
                    equal_mass=False,
                )[0]
                for _ in range(simulations)
            ]
        )
    )
