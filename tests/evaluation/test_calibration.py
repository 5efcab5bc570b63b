"""Calibration: the definitions by hand, perfect and overconfident models, temperatures that are found again."""

import numpy as np
import polars as pl
import pytest

from seedbed.evaluation.calibration import (
    bin_numbers,
    calibrate,
    expected_error,
    gaps,
    reliability,
)
from seedbed.evaluation.classification import Classified
from seedbed.metrics.temperature import fit_temperature, nll, probabilities, scaled

LABELS = ("가", "나", "other")


def world(rng, n, *, sharpness=1.0):
    """probabilities_NC of a model that is perfect at sharpness 1, too sure above it; and true labels."""
    logits = rng.normal(0, 2, (n, 3))
    truth = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (rng.random((n, 1)) > np.cumsum(truth, axis=1)).sum(1).clip(max=2)
    return scaled(truth, 1 / sharpness), labels


def frame(seeds, labels):
    parts = [
        pl.DataFrame(
            {
                "seed": [seed] * len(labels),
                "id": [f"d{i:05d}" for i in range(len(labels))],
                "label": labels,
                "predicted": p.argmax(1),
            }
            | {f"probability_{c}": p[:, c] for c in range(3)}
        )
        for seed, p in enumerate(seeds)
    ]
    return pl.concat(parts)


def test_ece_by_hand():
    # bin (0.6, 0.8]: 0.7 and 0.8, one right; bin (0.8, 1]: 1.0 and 0.9, both right
    sure, right = np.array([0.7, 0.8, 1.0, 0.9]), np.array([1.0, 0.0, 1.0, 1.0])
    assert bin_numbers(sure, equal_mass=False, bins=5).tolist() == [3, 3, 4, 4]
    ones = np.ones((1, 4))
    expected = 0.5 * abs(0.5 - 0.75) + 0.5 * abs(1 - 0.95)
    assert gaps(sure, right, ones, equal_mass=False, bins=5)[0] == pytest.approx(expected)
    # the same as of examples written twice, and 0 weight leaves an example out
    assert gaps(sure, right, 2 * ones, equal_mass=False, bins=5)[0] == pytest.approx(expected)
    alone = gaps(sure, right, np.array([[0, 1.0, 0, 0]]), equal_mass=False, bins=5)[0]
    assert alone == pytest.approx(0.8)
    assert [(b.count, b.accuracy) for b in reliability(sure, right, bins=5)] == [(2, 0.5), (2, 1.0)]


def test_bins_of_equal_mass_hold_as_many_each_and_ties_stay_together():
    numbers = bin_numbers(np.random.default_rng(0).random(150), equal_mass=True, bins=15)
    assert np.bincount(numbers).tolist() == [10] * 15
    assert len(set(bin_numbers(np.full(40, 0.5), equal_mass=True, bins=15).tolist())) == 1


def test_a_perfect_model_is_calibrated_and_shows_the_error_that_it_is_expected_to():
    p, labels = world(np.random.default_rng(1), 40_000)
    right = (p.argmax(1) == labels).astype(float)
    for equal_mass in (False, True):
        assert gaps(p.max(1), right, np.ones((1, len(p))), equal_mass=equal_mass)[0] < 0.01
    small, labels = world(np.random.default_rng(2), 200)
    seen = np.mean(
        [
            gaps(q.max(1), (q.argmax(1) == actual).astype(float), np.ones((1, 200)), equal_mass=False)[0]
            for q, actual in (world(np.random.default_rng(s), 200) for s in range(100))
        ]
    )
    assert expected_error(small.max(1), seed=0) == pytest.approx(seen, abs=0.01)


def test_the_temperature_is_found_again_and_the_order_of_labels_stays():
    rng = np.random.default_rng(3)
    for sharpness in (0.5, 1.0, 2.5):
        p, labels = world(rng, 20_000, sharpness=sharpness)
        assert fit_temperature(p, labels) == pytest.approx(sharpness, rel=0.05)
        cooled = scaled(p, sharpness)
        np.testing.assert_array_equal(cooled.argmax(1), p.argmax(1))
        np.testing.assert_allclose(cooled.sum(1), 1)
    # certain and right stays certain, certain and wrong costs much and not infinitely much
    assert np.isfinite(nll(np.array([[1.0, 0.0]]), np.array([1]))).all()
    assert np.isfinite(fit_temperature(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])))


def test_an_overconfident_run_is_mended_by_what_valid_taught():
    rng = np.random.default_rng(4)
    both = [world(rng, 3000, sharpness=3.0) for _ in range(2)]
    (test_p, test_labels), (valid_p, valid_labels) = both
    run = Classified.of(frame([test_p, test_p], test_labels), run="a", task="topics", label_names=LABELS)
    made = calibrate(run, frame([valid_p, valid_p], valid_labels), confidence=0.95, resamples=200, seed=0)
    assert made is not None and len(made.temperatures) == 2
    assert made.temperatures[0] == pytest.approx(3, rel=0.1)
    for name in ("nll", "ece", "ece_equal_mass"):
        before, after = made.before[name], made.after[name]
        assert after.high < before.low, name
        assert before.low <= before.value <= before.high and before.n == 3000
    assert sum(b.count for b in made.reliability) == 6000


def test_the_interval_holds_the_value_where_resampling_is_biased():
    """A perfect model on few examples: resamples of it are worse calibrated than it is."""
    p, labels = world(np.random.default_rng(5), 100)
    run = Classified.of(frame([p], labels), run="a", task="topics", label_names=LABELS)
    made = calibrate(run, frame([p], labels), confidence=0.95, resamples=400, seed=0)
    assert made is not None
    for measured in (made.before, made.after):
        assert all(0 <= e.low <= e.value <= e.high for e in measured.values()), measured


def test_an_error_of_shares_stays_below_1_however_seeds_differ():
    """One seed is right and the other wrong, always and surely: the spread between them alone is above 1."""
    labels = np.arange(60) % 3
    sure = np.eye(3)[labels] * 0.97 + 0.01
    seeds = [sure, np.roll(sure, 1, axis=1)]
    run = Classified.of(frame(seeds, labels), run="a", task="topics", label_names=LABELS)
    made = calibrate(run, frame(seeds, labels), confidence=0.95, resamples=100, seed=0)
    assert made is not None
    assert made.before["ece"].high == made.before["ece_equal_mass"].high == 1.0
    assert made.before["nll"].high > 2


def test_predictions_without_probabilities_have_no_calibration():
    bare = frame([np.eye(3)], np.arange(3)).select("seed", "id", "label", "predicted")
    run = Classified.of(bare, run="a", task="topics", label_names=LABELS)
    assert calibrate(run, bare, confidence=0.95, resamples=100, seed=0) is None
    # ten labels and more are in the order of their numbers, not of their names
    wide = pl.DataFrame({"seed": [0], "id": ["a"]} | {f"probability_{c}": [float(c)] for c in range(12)})
    assert probabilities(wide)[0][0].tolist() == [float(c) for c in range(12)]
