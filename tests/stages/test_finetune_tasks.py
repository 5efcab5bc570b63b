"""The finetune stage on every kind of task: what it writes, and that test answers come from what it wrote."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from seedbed.corpora import Document, TestSplit
from seedbed.corpora.base import encode_document
from seedbed.stages import finetune
from seedbed.tasks import predict_test
from seedbed.tasks.answers import Answers
from seedbed.tasks.prediction import read_facts
from tests.stages.test_finetune import recipe, workspace
from tests.tasks.corpus import documents, write_backbone

KEY = TestSplit(opened_by="test")


def labelled(number: int, document: Document) -> Document:
    """A document with an answer of every kind."""
    words = document.text.split()
    spans, at = [], 0
    for word in words:
        spans.append([at, at + len(word)])
        at += len(word) + 1
    text = " ".join(words)
    meta = {
        "label": str(number % 3),
        "second": "둘째 글 😀",
        "score": str(number % 3 + 0.5),
        "labels": json.dumps(["a", "b", "c"][: number % 3 + 1]),
        "tags": " ".join(["B-ENT", "I-ENT", *["O"] * (len(words) - 2)]),
        "spans": json.dumps(spans),
        "question": "무엇을 what?",
        "answers": json.dumps([[words[0], 0]]),
        "choices": json.dumps([["sort", "그물", "download"][(number + k) % 3] for k in range(3)]),
        "right": str(-number % 3),
    }
    return Document(document.id, text, meta)


TASKS: dict[str, dict[str, Any]] = {
    "classification": {"pair": "second"},
    "regression": {},
    "multi_label": {},
    "token_classification": {},
    "question_answering": {"doc_stride": 8, "max_question": 12},
    "multiple_choice": {"choices": ["choices"], "label": "right"},
}
CARD = {
    "classification": ("text-classification", "ElectraForSequenceClassification", "0, 1, 2"),
    "regression": ("text-classification", "ElectraForSequenceClassification", None),
    "multi_label": ("text-classification", "ElectraForSequenceClassification", "a, b, c"),
    "token_classification": ("token-classification", "ElectraForTokenClassification", "O, B-ENT, I-ENT"),
    "question_answering": ("question-answering", "ElectraForQuestionAnswering", None),
    "multiple_choice": ("multiple-choice", "ElectraForSequenceClassification", None),
}
"""Tag, class and labels."""
METRIC = {
    "classification": "matthews",
    "regression": "spearman",
    "multi_label": "micro_f1",
    "token_classification": "entity_f1",
    "question_answering": "exact_match",
    "multiple_choice": "accuracy",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_backbone(root / "models/pretrain/electra")
    corpus = root / "data/clean/tiny"
    corpus.mkdir(parents=True)
    for split, first in (("train", 0), ("valid", 1000), ("test", 2000)):
        found = [labelled(n, d) for n, d in enumerate(documents(8, first=first))]
        (corpus / f"{split}.jsonl").write_bytes(b"".join(map(encode_document, found)))
    return root


@pytest.mark.parametrize("name", TASKS)
def test_every_kind_of_task_is_learned_and_answered(
    name: str, root: Path, track: Callable[[ModuleType], Any], tmp_path: Path
) -> None:
    track(finetune)
    place = workspace(root, scratch=f"scratch-{name}")
    task = {"name": name, **TASKS[name]}
    given = recipe(task=task, max_steps=40, seeds=[1], max_length=32)
    finetune.run(place, given)
    metrics = json.loads((place.out / "metrics.json").read_text())
    assert f"valid/{METRIC[name]}" in metrics and "valid/loss" in metrics
    told = (place.out / "README.md").read_text(encoding="utf-8")
    tag, class_name, labels = CARD[name]
    assert f"\n- {tag}\n- {name}\n" in told and f"model = {class_name}.from_pretrained" in told
    assert (f"| labels | {labels} |" in told) if labels else "| labels |" not in told
    valid = pl.read_parquet(place.out / "predictions.parquet")
    test = predict_test(given, place.out, root / "data/clean/tiny", KEY, threads=1)
    assert valid.columns == test.columns and test.height == 24
    facts = read_facts(place.out)
    scores = given.task.scores(valid, facts)
    assert scores[METRIC[name]] == pytest.approx(metrics[f"valid/{METRIC[name]}"], abs=1e-12)
    check_answers(name, given, place.out, test)
    if name in ("token_classification", "question_answering"):
        # the answer always stands at the text's begin: forty steps are enough to see it
        assert given.task.scores(test, facts)[METRIC[name]] > 0.5


def check_answers(name: str, given: Any, folder: Path, test: pl.DataFrame) -> None:
    """What `predict` and `serve` tell of the test texts is what the table of test predictions says."""
    task, answers = given.task, Answers(given, folder)
    found = [labelled(n, d) for n, d in enumerate(documents(8, first=2000))]
    examples = task.examples(found, split="test", facts=read_facts(folder))
    told = answers([one.parts for one in examples])
    json.dumps(told)
    rows = test.to_dicts()
    for answer, row, one in zip(told, rows, examples, strict=True):
        match name:
            case "classification":
                assert answer["label"] == answers.labels[row["predicted"]]
            case "regression":
                assert answer["score"] == pytest.approx(row["predicted"], abs=1e-5)
            case "multi_label":
                assert answer["labels"] == [answers.labels[n] for n in row["predicted"]]
            case "multiple_choice":
                assert answer["label"] == row["predicted"]
                assert answer["choice"] == one.choices[row["predicted"]]
            case "question_answering":
                assert answer["answer"] == row["predicted"]
                start, end = answer["start"], answer["end"]
                assert one.context[start:end] == answer["answer"] and 0 < answer["probability"] <= 1
            case "token_classification":
                # the units of a text that nobody took apart are other ones: marks stand alone
                assert {t["tag"] for t in answer["tags"]} <= set(answers.labels)
                for each in [*answer["tags"], *answer["entities"]]:
                    assert one.text[each["start"] : each["end"]] == each["text"]
    if name == "question_answering":
        one = examples[0]
        long = answers([(one.question, one.context * 9), (one.question * 30, one.context), one.parts])
        assert [row.get("cut", False) for row in long] == [False, True, False], (
            "a paragraph is read in windows"
        )
    if name == "token_classification":
        assert sum(bool(answer["entities"]) for answer in told) > 12
    assert bool(answers.temperatures) == (name in ("classification", "multiple_choice"))


@pytest.mark.parametrize(
    ("classifier", "name", "changed"),
    [
        ({"name": "text_cnn", "embedding_size": 16, "num_filters": 8}, "classification", {}),
        (
            {"name": "recurrent", "cell": "lstm", "embedding_size": 16, "hidden_size": 8},
            "question_answering",
            {},
        ),
        ({"name": "window", "embedding_size": 16, "hidden_size": 16}, "token_classification", {}),
        (
            {"name": "window_binary", "embedding_size": 16, "hidden_size": 16},
            "token_classification",
            {"types": "merged", "metric": "unit_f1"},
        ),
    ],
)
def test_networks_from_scratch_learn_the_same_tasks(
    classifier: dict[str, Any],
    name: str,
    changed: dict[str, Any],
    root: Path,
    track: Callable[[ModuleType], Any],
) -> None:
    track(finetune)
    place = workspace(root, scratch=f"scratch-{classifier['name']}")
    task = {"name": name, **TASKS[name], **changed}
    given = recipe(task=task, classifier=classifier, max_steps=8, seeds=[1], max_length=32)
    finetune.run(place, given)
    test = predict_test(given, place.out, root / "data/clean/tiny", KEY, threads=1)
    assert test.height == 24
    told = (place.out / "README.md").read_text(encoding="utf-8")
    assert f"| classifier | {classifier['name']} |" in told and "| steps | 8 |" in told
    assert "transformers" not in told, "it does not know these networks"
