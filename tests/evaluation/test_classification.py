"""Text runs: the fast resampling equals scoring each resample, and bad frames are refused."""

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as oracle

from seedbed.config import UserError
from seedbed.evaluation import classification
from seedbed.evaluation.classification import Classified
from tests.evaluation import examples


def test_weighted_scores_equal_scikit_learn_on_the_repeated_examples():
    run = examples.classified("electra", 0.6, n=60)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 60, 60)
    weights = np.bincount(drawn, minlength=60).astype(float)[None]
    values = classification.statistic(run)(weights)
    assert values.shape == (1, 2, 5 + 2 + 9)
    for seed in range(2):
        actual, guess = run.labels_N[drawn], run.predicted_SN[seed][drawn]
        macro = oracle.precision_recall_fscore_support(actual, guess, average="macro", zero_division=0)
        expected = [
            oracle.accuracy_score(actual, guess),
            *macro[:3],
            oracle.matthews_corrcoef(actual, guess),
        ]
        each = oracle.precision_recall_fscore_support(actual, guess, labels=[0, 1, 2], zero_division=0)
        last = each[2][-1]
        expected += [last, (expected[0] + last) / 2]
        np.testing.assert_allclose(values[0, seed, :7], expected)
        np.testing.assert_allclose(values[0, seed, 7:], np.concatenate(each[:3]))


def scored(run):
    draws = classification.draw(run, resamples=200, seed=0)
    return classification.score(run, draws, confidence=0.95, seed=0)


def test_every_score_has_value_interval_and_counts():
    made = scored(examples.classified("electra", 0.6))
    assert set(classification.SCORES) < set(made)
    assert {f"f1/{label}" for label in examples.LABELS} < set(made)
    for name, estimate in made.items():
        assert estimate.low <= estimate.value <= estimate.high, name
        assert (estimate.n, estimate.seeds) == (120, 2)


def test_one_seed_gets_the_beta_interval_and_perfection_no_empty_one():
    assert scored(examples.classified("tfidf", 0.6, seeds=1))["accuracy"].how == "beta"
    perfect = scored(examples.classified("electra", 1.0))["accuracy"]
    assert (perfect.value, perfect.high) == (1, 1)
    assert 0.95 < perfect.low < 1


def test_confusion_is_added_over_seeds():
    run = examples.classified("electra", 0.6)
    assert run.confusion().sum() == 240
    assert np.trace(run.confusion()) == int((run.predicted_SN == run.labels_N).sum())


def test_seeds_on_different_examples_are_refused():
    frame = examples.predictions(0.5)
    with pytest.raises(UserError, match="finetune x: seed 1 was not scored once on each of the 120"):
        Classified.of(frame.head(239), run="x", task="topics", label_names=examples.LABELS)
    with pytest.raises(UserError, match="the test split of topics is empty"):
        Classified.of(frame.head(0), run="x", task="topics", label_names=examples.LABELS)


def test_the_order_of_rows_does_not_matter():
    frame = examples.predictions(0.5)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=3)
    one, other = (
        Classified.of(f, run="x", task="topics", label_names=examples.LABELS) for f in (frame, shuffled)
    )
    assert one.comparable(other)
    np.testing.assert_array_equal(one.predicted_SN, other.predicted_SN)
    changed = frame.with_columns(pl.lit(0).alias("label"))
    assert not one.comparable(Classified.of(changed, run="y", task="topics", label_names=examples.LABELS))
