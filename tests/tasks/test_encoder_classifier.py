"""Fine-tuning an encoder: packed or padded is the same gradient, and the losses are transformers' own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seedbed.config import Machine, UserError
from seedbed.data import PackedConfig, PaddedConfig
from seedbed.learner import Learner
from seedbed.models import load_encoder, save_pretrained
from seedbed.tasks.encoded import EncodedExamples, EncodedRows, ExamplePresentations
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.tasks.examples import Example
from seedbed.tasks.multiple_choice import EncodedChoices, MultipleChoice
from seedbed.tasks.question_answering import QuestionAnswering
from seedbed.tasks.sequence_classification import SequenceClassification
from seedbed.tasks.tag_learner import TokenClassification
from seedbed.tasks.tagged_units import IGNORED, EncodedTags
from seedbed.tasks.windows import EncodedWindows
from seedbed.tokenization import Vocabulary, load_tokenizer
from seedbed.tracking import SilentRun
from seedbed.training import Training
from seedbed.training.trainer import train
from tests.tasks.corpus import documents, write_backbone

BATCH, STEPS = 8, 60


def config(**changes: Any) -> EncoderClassifierConfig:
    silent = {"dropout": 0.0, "attention_dropout": 0.0, "classifier_dropout": 0.0}
    values = {"name": "encoder", "weights": "pretrained"} | silent | changes
    return EncoderClassifierConfig.parse(values, where="classifier")


@pytest.fixture(scope="module", params=["electra", "roberta", "bert"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp(request.param), family=request.param)


def encode(backbone: Path) -> EncodedExamples:
    """Texts of 6 to 48 tokens, English and Korean, every third with a second text."""
    words = [f"{d.text} 그물의 층을 만들고 더한다 😀".split() for d in documents(8)]
    texts = [" ".join(words[number][: 2 + 5 * number % 23]) for number in range(24)]
    found = [Example(str(n), text, "둘째 글 second", n % 3) for n, text in enumerate(texts)]
    pad_id = Vocabulary.load(backbone).pad_id
    return EncodedExamples.encode(found, load_tokenizer(backbone), max_length=48, pad_id=pad_id)


def tags(found: EncodedExamples) -> EncodedRows:
    tags = [np.where(np.arange(len(ids)) % 3 == 1, ids % 3, IGNORED) for ids in found.ids]
    rows = {"ids": found.ids, "type_ids": found.type_ids, "pad_id": found.pad_id}
    return EncodedTags(**rows, tags=tags, units=[], pieces=[], texts=[])


def spans(found: EncodedExamples) -> EncodedRows:
    ends = np.array([[1, len(ids) - 1] for ids in found.ids])
    return EncodedWindows(ids=found.ids, type_ids=found.type_ids, pad_id=found.pad_id, windows=[], ends=ends)


def choices(found: EncodedExamples) -> EncodedRows:
    pairs = {"pairs": found, "num_choices": 2, "labels": found.labels[::2] % 2}
    return EncodedChoices(ids=found.ids[::2], type_ids=found.type_ids[::2], pad_id=found.pad_id, **pairs)


TASKS: dict[str, tuple[Any, int, Callable[..., Learner], Callable[[EncodedExamples], EncodedRows]]] = {
    "labels": ("sequence", 3, SequenceClassification, lambda found: found),
    "tags": ("tokens", 3, TokenClassification, tags),
    "spans": ("spans", 2, QuestionAnswering, spans),
    "choices": ("sequence", 1, MultipleChoice, choices),
}


@pytest.mark.parametrize("task", TASKS)
def test_packed_is_the_loss_and_gradient_of_padded(backbone: Path, task: str) -> None:
    head, num_outputs, make, examples_of = TASKS[task]
    examples = examples_of(encode(backbone))
    found = []
    for arrangement in (PaddedConfig(name="padded"), PackedConfig(name="packed")):
        classifier = config(arrangement=arrangement.model_dump())
        learner = make(classifier.network(backbone, head, num_outputs=num_outputs, seed=1)).double().train()
        data = ExamplePresentations(examples, global_batch_size=BATCH, seed=1, arrange=classifier.arrange)
        batch = data.batch(0, BATCH)
        assert ("packed" in batch) == (arrangement.name == "packed")
        loss = learner.whole_loss(batch)["loss"]
        loss.backward()
        found.append({"loss": loss.detach()} | {name: p.grad for name, p in learner.named_parameters()})
    padded, packed = found
    for name, value in padded.items():
        torch.testing.assert_close(packed[name], value, rtol=1e-9, atol=1e-9, msg=name)


def test_a_tokenizer_of_more_tokens_than_the_encoder_is_told(tmp_path: Path) -> None:
    backbone = write_backbone(tmp_path / "electra")
    small = Vocabulary(
        size=100, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, special_ids=(0, 1, 2, 3, 4)
    )
    save_pretrained(backbone, load_encoder(backbone).config.build(small, seed=1))
    with pytest.raises(UserError, match=r"a tokenizer of \d+ tokens and an encoder of 100"):
        config().network(backbone, "sequence", num_outputs=2, seed=1)


def test_packed_is_what_recipes_take() -> None:
    assert EncoderClassifierConfig(name="encoder", weights="pretrained").arrangement.name == "packed"


def test_what_was_packed_is_what_is_served(backbone: Path) -> None:
    """The examples of a step are those of the padded batch, in its order."""
    examples = encode(backbone)
    plain = ExamplePresentations(examples, global_batch_size=BATCH, seed=1)
    packed = ExamplePresentations(examples, global_batch_size=BATCH, seed=1, arrange=config().arrange)
    saved = 0
    for first in range(0, 48, BATCH):
        batch = packed.batch(first, BATCH)
        rows = batch.pop("packed")
        expected = plain.batch(first, BATCH)
        assert all(torch.equal(batch[name], expected[name]) for name in expected)
        saved += expected["input_ids"].numel() - rows.numel()
        assert packed.names(first, BATCH) == plain.names(first, BATCH)
    assert saved > 0


def test_the_losses_of_a_whole_run_are_transformers(backbone: Path, tmp_path: Path) -> None:
    """From one checkpoint, on the same batches, without dropout, with AdamW as its Trainer sets it up."""
    from transformers import AutoModelForSequenceClassification
    from transformers.trainer_pt_utils import get_parameter_names

    examples = encode(backbone)
    classifier = config()
    network = classifier.network(backbone, "sequence", num_outputs=3, seed=1)
    save_pretrained(tmp_path / "start", network.encoder, head=network, labels=("a", "나", "c"))
    data = ExamplePresentations(examples, global_batch_size=BATCH, seed=1, arrange=classifier.arrange)
    values = {
        "max_steps": STEPS,
        "global_batch_size": BATCH,
        "seed": 1,
        "precision": "fp32",
        "optimizer": {"name": "adamw", "learning_rate": 1e-3, "epsilon": 1e-6, "weight_decay": 0.01},
        "schedule": {"name": "constant"},
        "log_every": 1,
    }
    trained = train(
        SequenceClassification(network),
        data=data,
        valid=examples.batches,
        recipe=Training.parse(values, "test"),
        example_tokens=48,
        machine=Machine(threads=1),
        scratch=tmp_path / "scratch",
        tracker=SilentRun(),
        label="test",
    )
    ours = [value for _, name, value in trained.curves if name == "train/loss"]

    theirs = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "start", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    ).train()
    decayed = get_parameter_names(theirs, [torch.nn.LayerNorm], ["bias", "layernorm", "rmsnorm"])
    named = list(theirs.named_parameters())
    groups = [
        {"params": [p for name, p in named if name in decayed], "weight_decay": 0.01},
        {"params": [p for name, p in named if name not in decayed], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, eps=1e-6)
    differences = []
    for step in range(STEPS):
        batch: dict[str, Tensor] = data.batch(step * BATCH, BATCH)
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
        if theirs.config.type_vocab_size > 1:
            inputs["token_type_ids"] = batch["token_type_ids"]
        loss = theirs(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        differences.append(abs(float(loss.detach()) - ours[step]))
    assert len(ours) == STEPS
    assert ours[-1] < 0.7 * ours[0], "it learns, so there is a curve to follow"
    assert max(differences) < 1e-4, f"step {int(np.argmax(differences))} differs by {max(differences):g}"
