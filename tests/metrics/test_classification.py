"""Scores of classes against scikit-learn and hand-made cases."""

import math

import numpy as np
import pytest
from sklearn import metrics as oracle

from seedbed import metrics


def cases() -> list[tuple[np.ndarray, np.ndarray, int]]:
    rng = np.random.default_rng(0)
    made = [
        (rng.integers(0, c, n), rng.integers(0, c, n), c)
        for c, n in [(2, 1), (2, 40), (3, 7), (5, 200), (16, 33), (16, 1000)]
    ]
    absent = np.array([0, 0, 2, 2, 5]), np.array([0, 2, 2, 4, 0]), 7  # never actual, never predicted, neither
    constant = np.zeros(9, int), np.zeros(9, int), 2
    one_guess = np.array([0, 1, 0, 1, 1]), np.ones(5, int), 2
    return [*made, absent, constant, one_guess]


@pytest.mark.parametrize(("actual", "predicted", "num_classes"), cases())
class TestScikitLearn:
    def test_confusion_accuracy_matthews(self, actual, predicted, num_classes):
        ours = metrics.confusion_matrix(actual, predicted, num_classes=num_classes)
        np.testing.assert_array_equal(
            ours, oracle.confusion_matrix(actual, predicted, labels=range(num_classes))
        )
        assert metrics.accuracy(actual, predicted) == pytest.approx(oracle.accuracy_score(actual, predicted))
        assert metrics.matthews_correlation(ours) == pytest.approx(
            oracle.matthews_corrcoef(actual, predicted)
        )

    @pytest.mark.parametrize("zero_division", [0.0, 1.0, math.nan])
    @pytest.mark.parametrize("average", [None, "macro", "micro"])
    @pytest.mark.parametrize("classes", ["present", "all"])
    @pytest.mark.filterwarnings("ignore")
    def test_precision_recall_f1(self, actual, predicted, num_classes, zero_division, average, classes):
        confusion = metrics.confusion_matrix(actual, predicted, num_classes=num_classes)
        ours = metrics.precision_recall_f1(
            confusion, average=average, classes=classes, zero_division=zero_division
        )
        # Per class ours always has all C; scikit-learn keeps the present unless told otherwise.
        labels = None if classes == "present" and average == "macro" else list(range(num_classes))
        theirs = oracle.precision_recall_fscore_support(
            actual, predicted, labels=labels, average=average, zero_division=zero_division
        )
        for mine, reference in zip(ours, theirs[:3], strict=True):
            np.testing.assert_allclose(mine, reference, rtol=1e-12, equal_nan=True)


def test_confusions_are_scored_in_batches():
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 5, (4, 3, 6, 6))
    macro = metrics.precision_recall_f1(counts, average="macro")[2]
    assert macro.shape == (4, 3)
    assert macro[2, 1] == metrics.precision_recall_f1(counts[2, 1], average="macro")[2]
    assert metrics.matthews_correlation(counts)[3, 0] == metrics.matthews_correlation(counts[3, 0])


def test_weighted_examples_are_counted_as_often_as_they_weigh():
    rng = np.random.default_rng(4)
    actual, predicted = rng.integers(0, 5, (2, 60))
    drawn = rng.integers(0, 60, (7, 60))
    weights = np.stack([np.bincount(chosen, minlength=60) for chosen in drawn]).astype(float)
    counted = metrics.weighted_confusion(actual, predicted, num_classes=6)(weights)
    for counts, chosen in zip(counted, drawn, strict=True):
        theirs = oracle.confusion_matrix(actual[chosen], predicted[chosen], labels=range(6))
        np.testing.assert_array_equal(counts, theirs)
    scores = metrics.confusion_scores(counted)
    for name, one in metrics.confusion_scores(counted[3]).items():
        assert scores[name].shape == (7,) and scores[name][3] == one, name
    assert scores["accuracy"][3] == oracle.accuracy_score(actual[drawn[3]], predicted[drawn[3]])


def test_a_class_outside_the_range_is_refused():
    with pytest.raises(ValueError, match=r"predicted: classes 0\.\.3, allowed 0\.\.2"):
        metrics.confusion_matrix([0, 1], [0, 3], num_classes=3)


def test_perplexity():
    assert metrics.perplexity(math.log(8) * 5, 5) == pytest.approx(8)
    assert metrics.perplexity(1e6, 1) == math.inf
    assert math.isnan(metrics.perplexity(0.0, 0))
