"""Choices: as many rows as choices, one number each; the Learner's contract, counted against softmax."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.tasks.encoded import VALID_BATCH_TOKENS
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.tasks.multiple_choice import EncodedChoices, MultipleChoice, MultipleChoiceConfig
from seedbed.tasks.prediction import predict
from seedbed.tokenization import Vocabulary, load_tokenizer
from tests.conformance import check_learner
from tests.tasks.corpus import documents, write_backbone

ENCODER = EncoderClassifierConfig.parse({"name": "encoder", "weights": "pretrained"}, where="classifier")
TASK = MultipleChoiceConfig.parse({"name": "multiple_choice", "choices": ["a", "b", "c"]}, where="task")
FOUND = [
    Document(d.id, d.text, {"a": "sort rows", "b": "그물의 층", "c": f"셋째 {n} 😀", "label": str(n % 3)})
    for n, d in enumerate(documents(4))
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EncodedChoices]:
    backbone = write_backbone(tmp_path_factory.mktemp("electra"))
    facts = TASK.learn(FOUND)
    examples = TASK.examples(FOUND, split="train", facts=facts)
    pad_id = Vocabulary.load(backbone).pad_id
    return backbone, TASK.encode(
        examples, load_tokenizer(backbone), facts=facts, max_length=32, pad_id=pad_id
    )


def learner(backbone: Path) -> MultipleChoice:
    return TASK.learner(ENCODER.network(backbone, "sequence", num_outputs=1, seed=1))


def test_keeps_the_contract_of_learners(made: tuple[Path, EncodedChoices]) -> None:
    backbone, encoded = made
    # a number added to every choice alike changes nothing
    check_learner(
        lambda: learner(backbone),
        encoded.collate(np.arange(6)),
        without_gradient=["classifier.head.out.bias"],
    )


def test_probabilities_are_over_the_choices_of_each_text(made: tuple[Path, EncodedChoices]) -> None:
    backbone, encoded = made
    model = learner(backbone).eval()
    batch = encoded.collate(np.array([2, 7]))
    assert batch["input_ids"].shape[0] == 6 and batch["labels"].tolist() == [2, 1]
    with torch.no_grad():
        alone = model.logits(encoded.pairs.collate(np.arange(6, 9))).view(1, 3).double().softmax(1)
    found = np.stack(predict(model, encoded, precision="fp32"))
    assert found.shape == (12, 3)
    np.testing.assert_allclose(found[2], alone[0].numpy(), atol=1e-6)
    assert all(len(b) * encoded.lengths[b].max() <= VALID_BATCH_TOKENS for b in encoded.by_length())


@pytest.mark.parametrize(
    ("meta", "told"),
    [({"label": "3"}, "label '3' is none of 0, 1, 2"), ({"label": "x"}, "label 'x' is none of 0, 1, 2")],
)
def test_a_choice_that_is_not_there_is_refused(meta: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        TASK.example(Document("d", "", {**FOUND[0].meta, **meta}), TASK.learn([]))


def test_texts_must_have_as_many_choices(made: tuple[Path, EncodedChoices]) -> None:
    listed = MultipleChoiceConfig.parse({"name": "multiple_choice", "choices": ["all"]}, where="task")
    found = [
        Document(str(n), "글", {"all": f'["{"a" * n}"' + ', "b"' * n + "]", "label": "0"}) for n in (1, 2)
    ]
    examples = listed.examples(found, split="train", facts=listed.learn(found))
    assert examples[1].choices == ("aa", "b", "b")
    with pytest.raises(UserError, match="texts with 2, 3 choices"):
        listed.encode(examples, load_tokenizer(made[0]), facts=listed.learn(found), max_length=32, pad_id=0)
