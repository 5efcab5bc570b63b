"""Published labels: which they are, what is refused, and the official scores beside scikit-learn's."""

from typing import Any

import numpy as np
import pytest

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.evaluation.classification import Classified, statistic
from seedbed.tasks.classification import ClassificationConfig, label_table
from seedbed.tasks.examples import Example, TaskFacts


def config(**changed: Any) -> ClassificationConfig:
    return ClassificationConfig.parse({"name": "classification", **changed}, where="task")


def document(number: int, label: str) -> Document:
    return Document(f"d{number}", f"글 {number}", {"label": label, "second": f"둘째 {number}"})


DOCUMENTS = [document(n, "yes" if n % 3 else "no") for n in range(12)]


def test_labels_are_those_given_or_those_of_train_sorted() -> None:
    assert config().learn(DOCUMENTS).labels == ("no", "yes")
    facts = config(labels=["yes", "no"]).learn(DOCUMENTS)
    assert facts.labels == ("yes", "no")
    examples = config(pair="second").examples(DOCUMENTS, split="train", facts=facts)
    assert examples[0] == Example("d0", "글 0", "둘째 0", 1)
    assert [e.id for e in examples] == [d.id for d in DOCUMENTS], "the publisher's order"


def test_fewer_examples_are_chosen_by_hash_whatever_the_order() -> None:
    facts = config().learn(DOCUMENTS)
    few = config(num_train=5)
    chosen = few.examples(DOCUMENTS, split="train", facts=facts)
    again = few.examples(DOCUMENTS[::-1], split="train", facts=facts)
    assert len(chosen) == 5 and {e.id for e in chosen} == {e.id for e in again}
    assert len(few.examples(DOCUMENTS, split="valid", facts=facts)) == 12


def test_an_unknown_label_or_field_is_the_users_fault() -> None:
    facts = TaskFacts(labels=("a", "b"))
    with pytest.raises(UserError, match="label 'no' is none of 'a', 'b', the labels of train; add examples"):
        config().examples(DOCUMENTS, split="test", facts=facts)
    with pytest.raises(UserError, match="label 'no' is none of 'a', 'b'; correct the task's `label`"):
        config(labels=["a", "b"]).examples(DOCUMENTS, split="test", facts=facts)
    with pytest.raises(UserError, match="no 'third' in its meta"):
        config(pair="third", labels=["no", "yes"]).examples(
            DOCUMENTS, split="test", facts=config().learn(DOCUMENTS)
        )


def test_an_empty_cell_is_no_label_unless_it_is_named() -> None:
    gap = [*DOCUMENTS, document(12, " ")]
    with pytest.raises(UserError, match="document d12: label is empty; fill it in"):
        config().learn(gap)
    assert config(labels=["no", "yes", " "]).learn(gap).labels == ("no", "yes", " ")


def test_what_train_cannot_teach_is_told_before_training() -> None:
    same = [document(n, "yes") for n in range(3)]
    facts = config().learn(same)
    with pytest.raises(UserError, match="train has one label alone, 'yes'"):
        config().check(
            config().examples(same, split="train", facts=facts), split="train", facts=facts, where="c"
        )
    named = config(labels=["yes", "no"])
    facts = named.learn(same)
    with pytest.raises(
        UserError, match="no train example of label 'no'; leave it out of the task's `labels`"
    ):
        named.check(named.examples(same, split="train", facts=facts), split="train", facts=facts, where="c")


@pytest.mark.parametrize("classes", [2, 4])
def test_official_scores_equal_scikit_learn_also_when_resampled(classes: int) -> None:
    from sklearn.metrics import f1_score, matthews_corrcoef

    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 200)
    shares = rng.dirichlet(np.ones(classes), 200) + 0.4 * np.eye(classes)[labels]
    examples = [Example(str(n), "", None, int(label)) for n, label in enumerate(labels)]
    frame = label_table(1, examples, shares)
    facts = TaskFacts(labels=tuple("abcd"[:classes]))
    scores = config().scores(frame, facts)
    predicted = shares.argmax(1)
    assert scores["matthews"] == pytest.approx(matthews_corrcoef(labels, predicted), abs=1e-12)
    if classes == 2:
        assert scores["f1"] == pytest.approx(f1_score(labels, predicted), abs=1e-12)
    drawn = rng.integers(0, 200, 200)
    weights = np.bincount(drawn, minlength=200)[None].astype(np.float64)
    again = config().statistics(frame, facts)["matthews"](weights)[0]
    assert again == pytest.approx(matthews_corrcoef(labels[drawn], predicted[drawn]), abs=1e-12)


def test_five_hundred_labels_are_scored_on_valid_as_on_test() -> None:
    """A matrix of every example's cell among C x C cells would be 466 GiB here."""
    from sklearn.metrics import matthews_corrcoef

    rng = np.random.default_rng(2)
    labels = rng.integers(0, 500, 2000)
    predicted = np.where(rng.random(2000) < 0.7, labels, rng.integers(0, 500, 2000))
    examples = [Example(f"글 {n}", "", None, int(label)) for n, label in enumerate(labels)]
    frame = label_table(1, examples, np.eye(500)[predicted])
    names = tuple(f"라벨 {n}" for n in range(500))
    scores = config().scores(frame, TaskFacts(labels=names))
    assert scores["matthews"] == pytest.approx(matthews_corrcoef(labels, predicted), abs=1e-12)
    run = Classified.of(frame, run="a", task="t", label_names=names, headline="matthews")
    tested = statistic(run)(np.ones((1, 2000)))[0, 0, run.score_names.index("matthews")]
    assert tested == scores["matthews"], "to the bit"
