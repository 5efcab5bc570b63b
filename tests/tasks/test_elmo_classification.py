"""Classification on a frozen ELMo as a Learner: spelled words, conformance, the penalty, weights."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.models import save_elmo
from seedbed.tasks import ElmoClassifierConfig, ElmoLearner
from seedbed.tasks.elmo_classification import SpelledRows
from seedbed.tasks.examples import Example, Task, TaskFacts
from seedbed.tasks.multi_label import MultiLabelConfig
from seedbed.tasks.prediction import predict
from seedbed.tasks.regression import RegressionConfig
from seedbed.tasks.token_classification import TokenClassificationConfig
from seedbed.tasks.topics import TopicsConfig
from seedbed.tokenization import Vocabulary, WordLevelConfig, save_tokenizer
from seedbed.tokenization.characters import spell
from tests.conformance import check_learner
from tests.models.elmos import MAX_CHARACTERS, small_elmo
from tests.tasks.corpus import documents, write_backbone

TASK = TopicsConfig(name="topics", num_labels=3, num_train=12, num_valid=12, num_test=12)
FACTS = TaskFacts(labels=("a", "나", "c"))
CONF = Path(__file__).resolve().parents[2] / "conf" / "classifier"


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained ELMo with words of the small corpus."""
    folder = tmp_path_factory.mktemp("elmo")
    config = WordLevelConfig(name="word_level", vocab_size=60)
    save_tokenizer(config.train(lambda: [one.text for one in documents(40)]), config, folder=folder)
    size = Vocabulary.load(folder).size
    save_elmo(folder, small_elmo(dropout=0.5).build(vocabulary_size=size, seed=1))
    return folder


def config(
    weights: str = "pretrained", l2: float = 0.0, dropout: float = 0.2, layer_norm: bool = False
) -> ElmoClassifierConfig:
    values = {
        "name": "elmo",
        "weights": weights,
        "mix": {"l2": l2, "layer_norm": layer_norm},
        "reader": {"name": "bilstm", "hidden_size": 8},
        "dropout": dropout,
    }
    return ElmoClassifierConfig.parse(values, "classifier")


def learner_of(backbone: Path, **changes: object) -> ElmoLearner:
    given = config(**changes)  # type: ignore[arg-type]
    return given.learner(given.network(backbone, "sequence", num_outputs=3, seed=1), TASK)


def encode(backbone: Path, *, pair: bool = False) -> SpelledRows:
    found = [
        Example(str(number), one.text * (1 + number % 3), "둘째 글 뷁뷁" if pair else None, number % 3)
        for number, one in enumerate(documents(4))
    ]
    return read(backbone, found, max_length=40)


def read(backbone: Path, examples: list[Example], *, max_length: int) -> SpelledRows:
    network = learner_of(backbone).classifier
    return config().encode(network, TASK, examples, backbone, facts=FACTS, max_length=max_length)


@pytest.mark.parametrize("pair", [False, True])
def test_keeps_the_contract_of_learners(backbone: Path, pair: bool) -> None:
    batch = encode(backbone, pair=pair).collate(np.arange(12))
    frozen = [name for name, p in learner_of(backbone).named_parameters() if not p.requires_grad]
    assert frozen and all(name.startswith("classifier.elmo.") for name in frozen)
    check_learner(
        lambda: learner_of(backbone, layer_norm=True),
        batch,
        steps=200,
        learning_rate=4e-3,
        without_gradient=frozen,
    )


OTHERS: dict[str, Task[Any]] = {
    "number": RegressionConfig.parse({"name": "regression", "pair": "pair"}, "task"),
    "set": MultiLabelConfig.parse({"name": "multi_label", "label": "set"}, "task"),
    "tags": TokenClassificationConfig.parse({"name": "token_classification"}, "task"),
}
FOUND = [
    Document(
        str(number),
        text,
        {
            "pair": f"둘째 글 뷁뷁 {number}",
            "score": str(number % 4),
            "set": '["가"]' if number % 2 else '["가", "b"]',
            "tags": tags,
            "spans": str([list(word.span()) for word in re.finditer(r"\S+", text)]),
        },
    )
    for number, (text, tags) in enumerate(
        [
            ("뷁뷁 sort 그물의 rows", "B-PER O B-ORG I-ORG"),
            ("sort rows", "O O"),
            ("the 쀍쀍", "O B-PER"),
            ("그물의 층을 list of the", "B-ORG I-ORG O O O"),
        ]
    )
]


def other(backbone: Path, kind: str, **changes: object) -> tuple[ElmoLearner, SpelledRows]:
    given, task = config(**changes), OTHERS[kind]  # type: ignore[arg-type]
    facts = task.learn(FOUND)
    network = given.network(backbone, task.head, num_outputs=task.num_outputs(facts), seed=1)
    examples = task.examples(FOUND, split="train", facts=facts)
    rows = given.encode(network, task, examples, backbone, facts=facts, max_length=40)
    return given.learner(network, task), rows


@pytest.mark.parametrize("kind", list(OTHERS))
def test_other_tasks_keep_the_contract_too(backbone: Path, kind: str) -> None:
    learner, rows = other(backbone, kind)
    frozen = [name for name, p in learner.named_parameters() if not p.requires_grad]
    check_learner(
        lambda: other(backbone, kind)[0],
        rows.collate(np.arange(4)),
        learning_rate=2e-2,
        falls_to=0.8,
        without_gradient=frozen,
    )


@pytest.mark.parametrize("kind", list(OTHERS))
def test_their_penalty_is_added_once_however_a_step_is_cut(backbone: Path, kind: str) -> None:
    learner, rows = other(backbone, kind, l2=0.5)
    plain, _ = other(backbone, kind)
    with torch.no_grad():
        for one in (learner.eval(), plain.eval()):
            one.classifier.mix.weights.copy_(torch.tensor([1.0, -1.0, 2.0]))
    whole = rows.collate(np.arange(4))
    counts = learner.counts(whole)
    together = learner.training_loss(whole, counts)["loss"].item()
    assert together == pytest.approx(plain.whole_loss(whole)["loss"].item() + 0.5 * 6, rel=1e-6)
    parts = [rows.collate(np.arange(first, last)) for first, last in ((0, 1), (1, 4))]
    added = sum(learner.training_loss(part, counts)["loss"].item() for part in parts)
    assert added == pytest.approx(together, rel=1e-5)


def test_unknown_words_get_tags_of_their_own_from_the_saved_model_too(backbone: Path, tmp_path: Path) -> None:
    learner, rows = other(backbone, "tags", dropout=0.0)
    task, batch = OTHERS["tags"], rows.collate(np.arange(4))
    facts = task.learn(FOUND)
    assert facts.labels == ("O", "B-ORG", "I-ORG", "B-PER", "I-PER")
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], lr=2e-2)
    for _ in range(200):
        optimizer.zero_grad()
        learner.whole_loss(batch)["loss"].backward()
        optimizer.step()
    learner.eval()
    config().save(tmp_path, learner.classifier, labels=facts.labels)
    again = config().learner(config().load(tmp_path, "tokens"), task).eval()
    examples = task.examples(FOUND, split="train", facts=facts)
    frame = task.table(1, examples, rows, predict(again, rows, precision="fp32"), facts)
    assert frame["predicted"].to_list() == [one.meta["tags"].split() for one in FOUND]
    assert torch.equal(again.logits(batch), learner.logits(batch))
    with pytest.raises(UserError, match=r"architectures \['ElmoTokenClassifier'\], the task asks for"):
        config().load(tmp_path, "sequence")


def test_words_that_the_tokenizer_does_not_know_are_spelled(backbone: Path) -> None:
    texts = ["뷁뷁 Sort, 😀", "rows"]
    examples = SpelledRows.spell(
        TASK,
        [Example(str(n), text, None, 0) for n, text in enumerate(texts)],
        backbone,
        facts=FACTS,
        max_length=9,
        max_characters=MAX_CHARACTERS,
    )
    batch = examples.collate(np.array([1, 0]))
    expected = [[None, "rows", None], [None, "뷁뷁", "Sort", ",", "😀", None]]
    for row, words in enumerate(expected):
        spelled = [spell(word, max_characters=MAX_CHARACTERS) for word in words]
        spelled += [[0] * MAX_CHARACTERS] * (6 - len(words))
        assert batch["characters"][row].tolist() == spelled
        assert batch["words"][row].tolist() == [w is not None for w in words] + [False] * (6 - len(words))
    assert batch["attention_mask"].sum(1).tolist() == [3, 6]
    assert (batch["input_ids"][1] == Vocabulary.load(backbone).unk_id).sum() == 2


def test_two_unknown_words_are_two(backbone: Path) -> None:
    learner = learner_of(backbone).eval()
    found = [Example(str(n), text, None, 0) for n, text in enumerate(["뷁뷁", "쀍쀍"])]
    examples = read(backbone, found, max_length=9)
    batch = examples.collate(np.arange(2))
    assert torch.equal(batch["input_ids"][0], batch["input_ids"][1])
    first, second = learner.logits(batch)
    assert not torch.equal(first, second)


def test_the_penalty_is_added_once_however_a_step_is_cut(backbone: Path) -> None:
    learner, plain = learner_of(backbone, l2=0.5).eval(), learner_of(backbone).eval()
    with torch.no_grad():
        for one in (learner, plain):
            one.classifier.mix.weights.copy_(torch.tensor([1.0, -1.0, 2.0]))
    examples = encode(backbone)
    whole = examples.collate(np.arange(12))
    parts = [examples.collate(np.arange(first, first + 4)) for first in (0, 4, 8)]
    counts = learner.counts(whole)
    together = learner.training_loss(whole, counts)["loss"].item()
    assert together == pytest.approx(plain.whole_loss(whole)["loss"].item() + 0.5 * 6, rel=1e-6)
    assert sum(learner.training_loss(part, counts)["loss"].item() for part in parts) == pytest.approx(
        together, rel=1e-5
    )


def test_random_weights_are_new_and_the_seeds_own(backbone: Path) -> None:
    loaded, fresh, again = (
        learner_of(backbone, weights=weights).state_dict() for weights in ("pretrained", "random", "random")
    )
    name = "classifier.elmo.forward_layers.0.recurrence.weight"
    assert not torch.equal(loaded[name], fresh[name]) and torch.equal(fresh[name], again[name])


def test_a_saved_learner_gives_the_same_logits(backbone: Path, tmp_path: Path) -> None:
    learner = learner_of(backbone).eval()
    config().save(tmp_path, learner.classifier, labels=FACTS.labels)
    batch = encode(backbone).collate(np.arange(12))
    again = config().learner(config().load(tmp_path, "sequence"), TASK).eval()
    assert torch.equal(again.logits(batch), learner.logits(batch))


def test_in_bf16_the_logits_are_nearly_those_of_fp32(backbone: Path) -> None:
    learner = learner_of(backbone, layer_norm=True).eval()
    batch = encode(backbone).collate(np.arange(12))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = learner.logits(batch)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, learner.logits(batch).detach(), rtol=0, atol=0.02)


def test_conf_files_are_the_classifier() -> None:
    for name, reader in (("elmo", "bilstm"), ("elmo_mean", "mean")):
        written = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
        assert ElmoClassifierConfig.parse(written, name).reader.name == reader


def test_parts_of_words_are_told(tmp_path: Path) -> None:
    write_backbone(tmp_path)
    with pytest.raises(UserError, match="an ELMo reads whole words"):
        SpelledRows.spell(
            TASK, [Example("0", "a", None, 0)], tmp_path, facts=FACTS, max_length=9, max_characters=20
        )
