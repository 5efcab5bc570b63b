"""Weights of labels: scikit-learn's, torch's weighted mean of the whole batch, however the step is cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import UserError
from seedbed.learner import Batch
from seedbed.tasks.class_weights import BalancedConfig, GivenConfig
from seedbed.tasks.classification import ClassificationConfig
from seedbed.tasks.examples import Example, TaskFacts
from seedbed.tasks.sequence_classification import SequenceClassification
from tests.conformance import check_learner, check_two_processes

LABELS = np.array([0, 0, 0, 0, 2, 0, 1, 2, 0, 0, 0, 2], dtype=np.int64)
NAMES = ("부정", "중립", "긍정")
WEIGHTS = np.array([1.0, 3.5, 1.25])


class Given(nn.Module):
    """Logits from one vector for each example: the least that a classifier can be."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.out = nn.Linear(4, 3)

    def forward(self, vectors_BD: Tensor, *_: Tensor) -> Tensor:
        logits_BC: Tensor = self.out(vectors_BD)
        return logits_BC


def make_learner() -> SequenceClassification:
    learner = SequenceClassification(Given())
    learner.weigh(WEIGHTS)
    return learner


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(len(LABELS), 4, generator=generator)
    mask = torch.ones(len(LABELS), 1)
    return {
        "input_ids": vectors,
        "attention_mask": mask,
        "token_type_ids": mask,
        "labels": torch.from_numpy(LABELS),
    }


def test_balanced_is_scikit_learns() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    config = BalancedConfig(name="balanced")
    np.testing.assert_allclose(config.raw(LABELS, NAMES), expected, rtol=1e-15)
    ratios = config.ratios(LABELS, NAMES)
    assert ratios.min() == 1
    np.testing.assert_allclose(ratios / ratios[0], expected / expected[0], rtol=1e-15)
    # what it is for: every label's examples weigh as much together
    np.testing.assert_allclose(np.bincount(LABELS) * ratios, np.bincount(LABELS)[0] * ratios[0], rtol=1e-12)


def test_given_weights_go_by_name() -> None:
    config = GivenConfig(name="given", weights={"긍정": 0.5, "부정": 0.25, "중립": 2.0})
    assert config.ratios(LABELS, NAMES).tolist() == [1.0, 8.0, 2.0]
    with pytest.raises(
        UserError, match=r"weights: got '긍정', '부정', the labels are '부정', '중립', '긍정'"
    ):
        GivenConfig(name="given", weights={"긍정": 0.5, "부정": 0.25}).ratios(LABELS, NAMES)
    with pytest.raises(UserError, match="greater than 0"):
        GivenConfig.parse({"name": "given", "weights": {"a": 0.0, "b": 1.0}}, "class_weights")


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_the_loss_is_torchs_weighted_mean_however_the_step_is_cut(scale: float) -> None:
    learner, whole = make_learner().double(), {k: _double(v) for k, v in batch().items()}
    expected = F.cross_entropy(learner.logits(whole), whole["labels"], torch.from_numpy(WEIGHTS * scale))
    expected.backward()
    gradient = learner.classifier.out.weight.grad.clone()
    for sizes in ([12], [6, 6], [1, 4, 7], [1] * 12):
        learner.zero_grad()
        cuts = [value.split(sizes) for value in whole.values()]
        parts = [dict(zip(whole, cut, strict=True)) for cut in zip(*cuts, strict=True)]
        counts = [learner.counts(part) for part in parts]
        total = {name: torch.stack([c[name] for c in counts]).sum() for name in counts[0]}
        losses = [learner.training_loss(part, total)["loss"] for part in parts]
        for loss in losses:
            loss.backward()
        torch.testing.assert_close(torch.stack(losses).sum(), expected, rtol=1e-12, atol=0)
        torch.testing.assert_close(learner.classifier.out.weight.grad, gradient, rtol=1e-12, atol=1e-14)


def test_keeps_the_contract_of_learners() -> None:
    check_learner(make_learner, batch(), learning_rate=0.1)


@pytest.mark.slow
def test_two_processes_equal_one() -> None:
    check_two_processes(make_learner, batch())


def test_no_weights_no_change() -> None:
    plain = SequenceClassification(make_learner().classifier)
    assert set(plain.counts(batch())) == {"examples"}
    assert set(plain.state_dict()) == set(make_learner().state_dict())
    even = SequenceClassification(plain.classifier)
    even.weigh(np.ones(3))
    assert torch.equal(even.whole_loss(batch())["loss"], plain.whole_loss(batch())["loss"])


def test_the_task_weighs_by_its_train_examples(tmp_path: Path) -> None:
    task = ClassificationConfig.parse(
        {"name": "classification", "class_weights": {"name": "balanced"}}, "task"
    )
    learner = SequenceClassification(Given())
    examples = [Example(str(n), "", None, int(label)) for n, label in enumerate(LABELS)]
    task.weigh(learner, examples, TaskFacts(labels=NAMES))
    assert learner.class_weights is not None
    np.testing.assert_allclose(learner.class_weights.numpy(), [1.0, 8.0, 8 / 3], rtol=1e-6)
    # the score is of the examples as they are
    accumulator = learner.scores()
    learner.score(batch(), accumulator)
    expected = F.cross_entropy(learner.logits(batch()), batch()["labels"])
    assert accumulator.results()["loss"] == pytest.approx(float(expected.detach()), rel=1e-6)


def _double(value: Any) -> Any:
    return value.double() if value.is_floating_point() else value
