"""metrics.py against scikit-learn, hand-made cases and the published M3 table."""

import json
import lzma
import math
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as oracle

from seedbed import metrics

MIRROR = Path(os.environ.get("SEEDBED_TEST_MIRROR", Path(__file__).parents[2] / "shared" / "data"))


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


def test_a_class_outside_the_range_is_refused():
    with pytest.raises(ValueError, match=r"predicted: classes 0\.\.3, allowed 0\.\.2"):
        metrics.confusion_matrix([0, 1], [0, 3], num_classes=3)


def test_perplexity():
    assert metrics.perplexity(math.log(8) * 5, 5) == pytest.approx(8)
    assert metrics.perplexity(1e6, 1) == math.inf
    assert math.isnan(metrics.perplexity(0.0, 0))


def test_forecast_scores_by_hand():
    assert metrics.smape([100, 0, 1], [110, 0, -1]) == pytest.approx((200 * 10 / 210 + 0 + 200) / 3)
    assert metrics.mape([100, 50], [110, 40]) == pytest.approx(15)
    assert math.isnan(metrics.mape([0, 1], [1, 1]))
    history = [1.0, 2, 4, 7]
    assert metrics.naive_scale(history, seasonality=1) == pytest.approx(2)
    assert metrics.naive_scale(history, seasonality=2) == pytest.approx(4)
    assert metrics.mase([8, 9], [7, 6], history=history, seasonality=1) == pytest.approx(1)
    assert math.isnan(metrics.mase([8], [7], history=[3, 3, 3], seasonality=1))
    assert math.isnan(metrics.mase([8], [7], history=[3, 4], seasonality=4))
    scale = (1 + 4 + 9) / 3
    assert metrics.rmsse([8, 9], [7, 6], history=history) == pytest.approx(math.sqrt(5 / scale))
    assert metrics.rmsse([8, 9], [7, 6], history=[0, 0, *history]) == pytest.approx(math.sqrt(5 / scale))
    assert metrics.owa(10, 1.5, naive2_smape=20, naive2_mase=3) == pytest.approx(0.5)


def test_the_seasonal_naive_repeating_itself_has_mase_one():
    history = np.arange(48.0)  # every seasonal difference is 12
    assert metrics.mase(
        np.arange(48.0, 60), np.arange(36.0, 48), history=history, seasonality=12
    ) == pytest.approx(1)


@pytest.mark.skipif(not (MIRROR / "m3").is_dir(), reason="no data mirror")
@pytest.mark.parametrize(
    ("method", "published"), [("NAIVE2", 15.46), ("THETA", 13.05), ("ForecastPro", 13.23)]
)
def test_m3_published_smape(method, published):
    """Makridakis and Hibon (2000), table 6: the mean over all forecast points of 3,003 series."""
    with lzma.open(MIRROR / "m3" / "m3_data.json.xz") as file:
        series = json.load(file)
    with lzma.open(MIRROR / "m3" / "m3_rival_forecasts.csv.xz") as file:
        rivals = pl.read_csv(file.read(), infer_schema_length=None)
    steps = [c for c in rivals.columns if c.startswith("h")]
    rows = rivals.filter(pl.col("method") == method)
    errors = []
    for row in rows.iter_rows(named=True):
        truth = np.array(series[row["unique_id"]]["xx"], float)
        errors.append(metrics.smape_points(truth, [float(row[h]) for h in steps[: len(truth)]]))
    assert len(errors) == 3003
    assert round(float(np.mean(np.concatenate(errors))), 2) == published
