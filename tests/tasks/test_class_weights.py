"""Weights of labels: scikit-learn's, torch's weighted mean of the whole batch, however the step is cut.

Of tags and sets of labels too; a task without classes says so.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import UserError
from seedbed.learner import Batch, Learner
from seedbed.tasks.class_weights import BalancedConfig, GivenConfig
from seedbed.tasks.classification import ClassificationConfig
from seedbed.tasks.examples import Example, TaskFacts
from seedbed.tasks.multi_label import MultiLabel, MultiLabelConfig, MultiLabelExample
from seedbed.tasks.multiple_choice import MultipleChoiceConfig
from seedbed.tasks.question_answering import QuestionAnsweringConfig
from seedbed.tasks.regression import RegressionConfig
from seedbed.tasks.sequence_classification import SequenceClassification
from seedbed.tasks.tag_learner import TokenClassification
from seedbed.tasks.tagged_units import IGNORED, TaggedExample
from seedbed.tasks.text_generation import TextGenerationConfig
from seedbed.tasks.token_classification import TokenClassificationConfig
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


def check_cuts(learner: Any, whole: dict[str, Tensor], expected: Tensor) -> None:
    """The parts of a step add up to `expected`, gradients too, however the step is cut."""
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


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_the_loss_is_torchs_weighted_mean_however_the_step_is_cut(scale: float) -> None:
    learner, whole = make_learner().double(), {k: _double(v) for k, v in batch().items()}
    weights_C = torch.from_numpy(WEIGHTS * scale)
    check_cuts(learner, whole, F.cross_entropy(learner.logits(whole), whole["labels"], weights_C))


def make_tagger() -> TokenClassification:
    learner = TokenClassification(Given())
    learner.weigh(WEIGHTS)
    return learner


def tagged_batch() -> Batch:
    """Texts of 5 pieces, a third of which bear no tag."""
    generator = torch.Generator().manual_seed(2)
    labels_BL = torch.randint(-1, 3, (12, 5), generator=generator)
    labels_BL[labels_BL < 0] = IGNORED
    mask = torch.ones(12, 5)
    vectors = torch.randn(12, 5, 4, generator=generator)
    return {"input_ids": vectors, "attention_mask": mask, "token_type_ids": mask, "labels": labels_BL}


def test_tags_are_weighed_by_torchs_mean_over_the_whole_step() -> None:
    learner, whole = make_tagger().double(), {k: _double(v) for k, v in tagged_batch().items()}
    logits_NC, labels_N = learner.logits(whole).flatten(0, 1), whole["labels"].flatten()
    check_cuts(learner, whole, F.cross_entropy(logits_NC, labels_N, torch.from_numpy(WEIGHTS)))
    # scores are of the tags as they are
    accumulator = learner.scores()
    learner.score(whole, accumulator)
    assert accumulator.results()["loss"] == pytest.approx(
        float(F.cross_entropy(logits_NC, labels_N).detach())
    )


def make_chooser() -> MultiLabel:
    learner = MultiLabel(Given())
    learner.weigh(np.array([0.25, 4.0, 1.0]))
    return learner


def sets_batch() -> Batch:
    present_BC = torch.rand(12, 3, generator=torch.Generator().manual_seed(3)) < torch.tensor([0.8, 0.2, 0.5])
    return {**batch(), "labels": present_BC.long()}


def test_sets_of_labels_are_weighed_by_torchs_pos_weight() -> None:
    learner, whole = make_chooser().double(), {k: _double(v) for k, v in sets_batch().items()}
    logits_BC, wanted_BC = learner.logits(whole), whole["labels"].double()
    weigh = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([0.25, 4.0, 1.0]).double())
    check_cuts(learner, whole, weigh(logits_BC, wanted_BC))
    accumulator = learner.scores()
    learner.score(whole, accumulator)
    plain = F.binary_cross_entropy_with_logits(logits_BC, wanted_BC)
    assert accumulator.results()["loss"] == pytest.approx(float(plain.detach()))


LEARNERS: list[Any] = [(make_learner, batch), (make_tagger, tagged_batch), (make_chooser, sets_batch)]


@pytest.mark.parametrize(("make", "of"), LEARNERS)
def test_keeps_the_contract_of_learners(make: Callable[[], Learner], of: Callable[[], Batch]) -> None:
    check_learner(make, of(), learning_rate=0.1, falls_to=0.9)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "of"), LEARNERS)
def test_two_processes_equal_one(make: Callable[[], Learner], of: Callable[[], Batch]) -> None:
    check_two_processes(make, of())


def test_no_weights_no_change() -> None:
    plain = SequenceClassification(make_learner().classifier)
    assert set(plain.counts(batch())) == {"examples"}
    assert set(plain.state_dict()) == set(make_learner().state_dict())
    even = SequenceClassification(plain.classifier)
    even.weigh(np.ones(3))
    assert torch.equal(even.whole_loss(batch())["loss"], plain.whole_loss(batch())["loss"])


def test_the_task_weighs_by_its_train_examples() -> None:
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


def test_tags_are_counted_by_the_unit() -> None:
    task = TokenClassificationConfig.parse(
        {"name": "token_classification", "class_weights": {"name": "balanced"}}, "task"
    )
    facts = TaskFacts(labels=("O", "B-곳", "I-곳"))
    # B-새 is a type that train's facts lack: it is learned as O; I-곳 has no unit
    tags = [("O", "O", "B-곳", "O"), ("B-새", "O", "O", "O", "B-곳")]
    examples = [TaggedExample(str(n), "", ((0, 1),) * len(of), of) for n, of in enumerate(tags)]
    learner = task.learner(Given())
    task.weigh(learner, examples, facts)
    assert learner.class_weights is not None
    assert learner.class_weights.tolist() == [1.0, 3.5, 7.0]


def test_a_sets_balance_is_absence_over_presence() -> None:
    task = MultiLabelConfig.parse({"name": "multi_label", "class_weights": {"name": "balanced"}}, "task")
    facts = TaskFacts(labels=NAMES)
    sets = [(0,), (0, 1), (0,), (), (0,)]
    examples = [MultiLabelExample(str(n), "", None, numbers) for n, numbers in enumerate(sets)]
    learner = task.learner(Given())
    task.weigh(learner, examples, facts)
    assert learner.class_weights is not None
    # 4 of 5; 1 of 5; none of 5
    assert learner.class_weights.tolist() == [0.25, 4.0, 5.0]
    given = GivenConfig(name="given", weights={"긍정": 0.5, "부정": 0.25, "중립": 2.0})
    assert given.of_presence(np.zeros((5, 3), dtype=np.bool_), NAMES).tolist() == [0.25, 2.0, 0.5]
    with pytest.raises(UserError, match="the labels are '부정', '중립', '긍정'"):
        GivenConfig(name="given", weights={"a": 1.0, "b": 1.0}).of_presence(np.zeros((5, 3), bool), NAMES)


@pytest.mark.parametrize(
    ("config", "more"),
    [
        (RegressionConfig, {}),
        (QuestionAnsweringConfig, {}),
        (MultipleChoiceConfig, {"choices": ["a"]}),
        (TextGenerationConfig, {"target": "a", "num_tokens": 4, "decoding": {"name": "greedy"}}),
    ],
)
def test_a_task_without_classes_says_so(config: Any, more: dict[str, Any]) -> None:
    name = config.model_fields["name"].annotation.__args__[0]
    plain = {"name": name, **more}
    config.parse(plain, "task")
    with pytest.raises(UserError) as caught:
        config.parse({**plain, "class_weights": {"name": "balanced"}}, "finetune.a.task")
    told = "finetune.a.task.class_weights: the task has no classes to weigh; leave it out"
    assert str(caught.value) == told


def _double(value: Any) -> Any:
    return value.double() if value.is_floating_point() else value
