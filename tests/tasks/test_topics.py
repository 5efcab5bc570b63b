"""Topics: labels by rule, names hidden in every spelling, the same choice whatever the order."""

import random

import pytest

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.tasks.topics import TopicsConfig, mask_pattern
from tests.tasks.corpus import documents


def topics(**changed: int) -> TopicsConfig:
    values = {"name": "topics", "num_labels": 3, "num_train": 30, "num_valid": 30, "num_test": 30, **changed}
    return TopicsConfig.parse(values, where="task")


def test_labels_are_the_packages_with_most_documents() -> None:
    more = [*documents(10), *(d for d in documents(20, first=10) if d.meta["package"] != "betanet")]
    facts = topics(num_labels=2).learn(more)
    assert facts.labels == ("alpha-sort", "pip")
    assert facts.masked == ("alpha-sort", "alphasort", "pip")
    with pytest.raises(UserError, match=r"task.num_labels: 4 packages asked for, .* has 3"):
        topics(num_labels=4).learn(more)


def test_examples_are_balanced_and_do_not_depend_on_the_order_of_documents() -> None:
    task, found = topics(), documents(40)
    facts = task.learn(found)
    chosen = task.examples(found, split="train", facts=facts)
    assert [sum(e.label == label for e in chosen) for label in range(3)] == [10, 10, 10]
    by_id = {document.id: document for document in found}
    assert all(by_id[e.id].meta["package"] == facts.labels[e.label] for e in chosen)
    random.Random(3).shuffle(found)
    assert task.learn(found) == facts
    assert task.examples(found, split="train", facts=facts) == chosen


def test_no_example_holds_a_packages_name() -> None:
    task, found = topics(), documents(40)
    facts = task.learn(found)
    for example in task.examples(found, split="train", facts=facts):
        lowered = example.text.lower()
        assert "alphasort" not in lowered and "betanet" not in lowered and "pip" not in lowered
        assert "number" in lowered, "the rest stays"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("scikit-learn, scikit_learn, Scikit Learn and SCIKITLEARN", "_, _, _ and _"),
        ("sklearn.svm.SVC or SKLearn's", "_.svm.SVC or _'s"),
        ("import torch.nn; PyTorch; TorchScript", "import _.nn; Py_; _Script"),
        ("pip install, a pipeline, PIP", "_ install, a pipeline, _"),
        ("torch를 쓰고 pip으로 설치한다", "_를 쓰고 _으로 설치한다"),
        ("pip_main(pip)", "pip_main(_)".replace("pip_", "__")),
        ("MlflowClient 😀 mlflow", "_Client 😀 _"),
    ],
)
def test_every_spelling_is_hidden(text: str, masked: str) -> None:
    pattern = mask_pattern(["scikit-learn", "sklearn", "torch", "pip", "mlflow"])
    assert pattern.sub("_", text) == masked


def test_no_names_hide_nothing() -> None:
    assert mask_pattern([]).sub("_", "torch") == "torch"


def test_documents_of_other_packages_or_of_none_are_left_out() -> None:
    task = topics(num_labels=2, num_train=100)
    found = [*documents(10), Document("x", "no package at all, only text", {})]
    facts = task.learn(found)
    chosen = task.examples(found, split="train", facts=facts)
    assert len(chosen) == 20
    assert {e.label for e in chosen} == {0, 1}
