"""Regression: scipy's correlations, weighted as resampling does it; the Learner's contract and its sums."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.tasks.correlations import pearson, spearman
from seedbed.tasks.encoded import EncodedExamples
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.tasks.prediction import predict
from seedbed.tasks.regression import Regression, RegressionConfig, RegressionScores, ScoredExample
from seedbed.tokenization import Vocabulary, load_tokenizer
from tests.conformance import check_learner
from tests.tasks.corpus import documents, write_backbone

TASK = RegressionConfig.parse({"name": "regression", "pair": "second"}, where="task")
ENCODER = EncoderClassifierConfig.parse({"name": "encoder", "weights": "pretrained"}, where="classifier")


def test_correlations_are_scipys_with_ties_and_when_resampled() -> None:
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(1)
    actual = rng.integers(0, 26, 300) / 5.0  # scores in fifths: ties
    predicted = actual + rng.normal(0, 1, 300).round(1)
    drawn = [np.arange(300), *(rng.integers(0, 300, 300) for _ in range(4))]
    weights = np.stack([np.bincount(chosen, minlength=300) for chosen in drawn]).astype(np.float64)
    for ours, theirs in ((pearson, pearsonr), (spearman, spearmanr)):
        wanted = [theirs(actual[chosen], predicted[chosen]).statistic for chosen in drawn]
        np.testing.assert_allclose(ours(actual, predicted, weights), wanted, atol=1e-12)


@pytest.mark.parametrize("constant", [1.0, 3.8, -0.1, 1e-9, 1 / 3])
def test_equal_numbers_do_not_vary_whatever_their_last_bits(constant: float) -> None:
    rng = np.random.default_rng(2)
    for count in (7, 30, 301):
        same, varied = np.full(count, constant), rng.random(count)
        drawn = [rng.integers(0, count, count) for _ in range(20)]
        weights = np.stack([np.bincount(chosen, minlength=count) for chosen in drawn]) / 3
        for of in (pearson, spearman):
            assert np.isnan(of(same, varied, weights)).all(), "nothing published to correlate with"
            assert np.isnan(of(same, np.full(count, 0.1), weights)).all()
            assert (of(varied, same, weights) == 0).all(), "who always says the same knows nothing"


def test_numbers_that_vary_little_for_their_size_still_vary() -> None:
    from scipy.stats import pearsonr

    rng = np.random.default_rng(3)
    actual = 1.7e9 + rng.integers(0, 100, 50)  # seconds since 1970
    predicted = actual + rng.normal(0, 30, 50)
    assert pearson(actual, predicted)[0] == pytest.approx(pearsonr(actual, predicted).statistic, abs=1e-8)


def test_f1_at_a_threshold_is_scikit_learns() -> None:
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(5)
    actual = rng.integers(0, 26, 100) / 5.0
    predicted = actual + rng.normal(0, 1, 100)
    frame = pl.DataFrame({"label": actual, "predicted": predicted})
    given = RegressionConfig.parse({"name": "regression", "threshold": 3.0}, where="task")
    found = given.scores(frame, given.learn([]))
    assert found["f1"] == pytest.approx(f1_score(actual >= 3, predicted >= 3), abs=1e-12)
    assert "f1" not in TASK.scores(frame, TASK.learn([]))


@pytest.mark.parametrize("written", ["high", "1,5", "", "nan", "inf"])
def test_a_score_that_is_no_number_is_the_users_fault(written: str) -> None:
    with pytest.raises(UserError, match=f"score is '{written}', expected a number"):
        TASK.example(Document("d", "글", {"second": "둘", "score": written}), TASK.learn([]))


def test_numbers_that_do_not_vary_are_refused_and_answers_that_do_not_score_0() -> None:
    facts = TASK.learn([])
    same = [ScoredExample(f"d{n}", "글", "둘", 3.0) for n in range(4)]
    with pytest.raises(UserError, match="score is 3 in all of the valid split"):
        TASK.check(same, split="valid", facts=facts, where="corpus")
    frame = pl.DataFrame({"label": [1.0, 2.0, 3.0], "predicted": [0.7, 0.7, 0.7]})
    given = RegressionConfig.parse({"name": "regression", "metric": "pearson_spearman"}, where="task")
    assert set(given.scores(frame, facts).values()) == {0.0}
    learner = RegressionScores()
    y = 0.1 + 0.2  # its squares do not add up to the bit
    sums = {"x": 6, "y": 3 * y, "xx": 14, "yy": y * y + y * y + y * y, "xy": 6 * y, "squares": 1, "n": 3}
    for name, value in sums.items():
        learner.add(name, torch.tensor(value, dtype=torch.float64))
    assert learner.results()["pearson"] == 0


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EncodedExamples]:
    backbone = write_backbone(tmp_path_factory.mktemp("electra"))
    found = [
        Document(d.id, d.text, {"second": "둘째 글 😀", "score": str(n % 6 - 0.5)})
        for n, d in enumerate(documents(4))
    ]
    facts = TASK.learn(found)
    examples = TASK.examples(found, split="train", facts=facts)
    pad_id = Vocabulary.load(backbone).pad_id
    tokenizer = load_tokenizer(backbone)
    return backbone, TASK.encode(examples, tokenizer, facts=facts, max_length=48, pad_id=pad_id)


def test_keeps_the_contract_of_learners(encoded: tuple[Path, EncodedExamples]) -> None:
    backbone, examples = encoded

    def make() -> Regression:
        return TASK.learner(ENCODER.network(backbone, "sequence", num_outputs=1, seed=1))

    check_learner(make, examples.collate(np.arange(12)))


def test_sums_of_scores_equal_predictions(encoded: tuple[Path, EncodedExamples]) -> None:
    backbone, examples = encoded
    learner = TASK.learner(ENCODER.network(backbone, "sequence", num_outputs=1, seed=1)).eval()
    accumulator = learner.scores()
    with torch.no_grad():
        for batch in examples.batches():
            learner.score(batch, accumulator)
    predicted = np.array(predict(learner, examples, precision="fp32"))
    results = accumulator.results()
    assert results["loss"] == pytest.approx(((predicted - examples.labels) ** 2).mean(), rel=1e-6)
    assert results["pearson"] == pytest.approx(pearson(examples.labels, predicted)[0], rel=1e-4)


def test_a_bf16_answer_is_held_against_the_label_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = TASK.learner(torch.nn.Identity())
    monkeypatch.setattr(learner, "logits", lambda batch: torch.zeros(1, 1, dtype=torch.bfloat16))
    batch = {"labels": torch.tensor([3.8], dtype=torch.float64)}
    loss = learner.training_loss(batch, {"examples": torch.tensor(1.0)})["loss"]
    assert loss.item() == pytest.approx(3.8**2, rel=1e-6)  # the nearest of bf16 is 3.797
