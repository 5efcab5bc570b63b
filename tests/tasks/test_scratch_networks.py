"""Networks from scratch as classifiers: the Learner's contract, their folders, and what they cannot give."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.models.window import BinaryWindowClassifier
from seedbed.tasks import FinetuneRecipe
from seedbed.tasks.encoded import EncodedExamples
from seedbed.tasks.examples import Example
from seedbed.tasks.scratch_networks import (
    BinaryWindowConfig,
    RecurrentConfig,
    ScratchConfig,
    TextCNNConfig,
    WindowConfig,
)
from seedbed.tasks.sequence_classification import SequenceClassification
from seedbed.tasks.tagged_units import IGNORED
from seedbed.tasks.token_classification import TokenClassificationConfig
from seedbed.tokenization import Vocabulary, load_tokenizer
from tests.conformance import check_learner
from tests.tasks.corpus import documents, write_backbone

CONFIGS: list[ScratchConfig] = [
    TextCNNConfig.parse({"name": "text_cnn", "embedding_size": 16, "num_filters": 8}, where="c"),
    *(
        RecurrentConfig.parse(
            {"name": "recurrent", "cell": cell, "embedding_size": 16, "hidden_size": 8}, where="c"
        )
        for cell in ("rnn", "lstm", "gru")
    ),
]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("electra"))


@pytest.fixture(scope="module")
def encoded(backbone: Path) -> EncodedExamples:
    found = [Example(d.id, d.text, None, n % 3) for n, d in enumerate(documents(4))]
    pad_id = Vocabulary.load(backbone).pad_id
    return EncodedExamples.encode(found, load_tokenizer(backbone), max_length=24, pad_id=pad_id)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: getattr(c, "cell", c.name))
def test_keeps_the_contract_of_learners_and_reads_what_it_wrote(
    config: ScratchConfig, backbone: Path, encoded: EncodedExamples, tmp_path: Path
) -> None:
    def make() -> SequenceClassification:
        return SequenceClassification(config.network(backbone, "sequence", num_outputs=3, seed=1))

    check_learner(make, encoded.collate(np.arange(6)), learning_rate=1e-2, falls_to=0.7)
    first = make().eval()
    config.save(tmp_path, first.classifier, labels=("a", "b", "c"))
    again = SequenceClassification(config.load(tmp_path, "sequence")).eval()
    batch = encoded.collate(np.arange(5))
    with torch.no_grad():
        assert torch.equal(first.logits(batch), again.logits(batch))
    other = config.network(backbone, "sequence", num_outputs=3, seed=2).state_dict()
    assert not torch.equal(first.classifier.state_dict()["out.weight"], other["out.weight"])


def test_one_score_of_a_window_is_logistic_regression_on_its_hidden_layer(
    backbone: Path, tmp_path: Path
) -> None:
    """The same layers as the softmax's; what is learned is torch's logistic loss, and one score is kept."""
    given = TokenClassificationConfig.parse(
        {"name": "token_classification", "types": "merged", "metric": "unit_f1"}, where="task"
    )
    texts = ["그물의 층을 더한다", "sort the rows of a list 😀"]
    found = [
        Document(
            str(n),
            text,
            {
                "tags": " ".join("B-LC" if m % 3 == 0 else "O" for m, _ in enumerate(spans)),
                "spans": json.dumps(spans),
            },
        )
        for n, text in enumerate(texts)
        for spans in [[one.span() for one in re.finditer(r"\S+", text)]]
    ]
    facts = given.learn(found)
    examples = given.examples(found, split="train", facts=facts)
    tokenizer, pad_id = load_tokenizer(backbone), Vocabulary.load(backbone).pad_id
    batch = given.encode(examples, tokenizer, facts=facts, max_length=24, pad_id=pad_id).collate(np.arange(2))
    config = BinaryWindowConfig.parse({"name": "window_binary", "embedding_size": 8}, where="c")
    network = config.network(backbone, "tokens", num_outputs=given.num_outputs(facts), seed=1).eval()
    assert isinstance(network, BinaryWindowClassifier) and network.out.weight.shape == (1, 128)
    learner = given.learner(network)
    check_learner(lambda: given.learner(config.network(backbone, "tokens", num_outputs=2, seed=1)), batch)
    tagged = batch["labels"] != IGNORED
    hidden: list[torch.Tensor] = []
    network.out.register_forward_hook(lambda module, inputs, output: hidden.append(inputs[0]))
    loss = learner.training_loss(batch, {"tags": tagged.sum()})["loss"]
    scores = (hidden[0] @ network.out.weight[0] + network.out.bias)[tagged]
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(scores, batch["labels"][tagged].float())
    torch.testing.assert_close(loss, wanted)
    config.save(tmp_path, network, labels=facts.labels)
    again = given.learner(config.load(tmp_path, "tokens")).eval()
    with torch.no_grad():
        assert torch.equal(again.logits(batch), learner.logits(batch))


def test_a_damaged_folder_is_the_users_fault(backbone: Path, tmp_path: Path) -> None:
    config = WindowConfig.parse({"name": "window", "embedding_size": 8}, where="c")
    network = config.network(backbone, "tokens", num_outputs=3, seed=1)
    config.save(tmp_path, network, labels=None)
    wider = WindowConfig.parse({"name": "window", "embedding_size": 9}, where="c")
    with pytest.raises(UserError, match="no window of this shape"):
        wider.load(tmp_path, "tokens")
    with pytest.raises(UserError, match="no window of this shape"):
        config.load(tmp_path / "nowhere", "tokens")


@pytest.mark.parametrize(
    ("classifier", "task", "told"),
    [
        ({"name": "text_cnn"}, {"name": "token_classification"}, "text_cnn gives sequence, task token_clas"),
        ({"name": "window"}, {"name": "classification"}, "window gives tokens, task classification asks"),
        (
            {"name": "window_binary"},
            {"name": "token_classification"},
            "window_binary says yes or no of each token, task token_classification asks for the types",
        ),
        (
            {"name": "tfidf"},
            {"name": "regression"},
            "tfidf gives a text its label, task regression asks more",
        ),
        (
            {"name": "elmo", "weights": "pretrained", "reader": {"name": "mean"}},
            {"name": "multiple_choice", "choices": ["a", "b"]},
            "classifier elmo reads a text or a pair, not choices",
        ),
        (
            {"name": "elmo", "weights": "pretrained", "reader": {"name": "mean"}},
            {"name": "question_answering"},
            "elmo gives sequence or tokens, task question_answering asks for spans",
        ),
    ],
)
def test_a_classifier_that_cannot_answer_is_refused(
    classifier: dict[str, Any], task: dict[str, Any], told: str
) -> None:
    values = {
        "backbone": "any",
        "corpus": "any",
        "task": task,
        "classifier": classifier,
        "seeds": [1],
        "max_length": 32,
        "max_steps": 8,
        "global_batch_size": 6,
        "precision": "fp32",
        "optimizer": {"name": "adamw", "learning_rate": 3e-3},
        "schedule": {"name": "linear", "warmup_steps": 2},
        "log_every": 4,
    }
    with pytest.raises(UserError, match=told):
        FinetuneRecipe.parse(values, where="finetune.x")
