"""Selection by content hash: balanced, in no order of the corpus, and kept when the corpus grows."""

import random

import pytest

from seedbed.config import UserError
from seedbed.tasks.examples import Example, TaskFacts, balanced, content_hash, shares, smallest
from seedbed.tasks.topics import TopicsConfig


def key(example: Example) -> str:
    return content_hash(example.text)


def examples(label: int, count: int, *, prefix: str = "") -> list[Example]:
    return [Example(f"{label}{n}", f"{prefix}text {n} of {label} 한글", None, label) for n in range(count)]


def test_shares_differ_by_at_most_one_and_add_up() -> None:
    for count in range(2, 60):
        for labels in range(2, 17):
            found = shares(count, labels)
            assert sum(found) == count
            assert max(found) - min(found) <= 1


def test_balanced_takes_as_many_of_each_label_and_does_not_depend_on_order() -> None:
    groups = [examples(label, 50 + 30 * label) for label in range(3)]
    chosen = balanced(groups, 60, key=key)
    assert [sum(example.label == label for example in chosen) for label in range(3)] == [20, 20, 20]
    for group in groups:
        random.Random(1).shuffle(group)
    assert balanced(groups, 60, key=key) == chosen


def test_a_larger_corpus_only_displaces_by_new_examples() -> None:
    old = examples(0, 300)
    new = examples(0, 300, prefix="new ")
    before, after = smallest(old, 50, key=key), smallest(old + new, 50, key=key)
    assert set(after) <= set(before) | set(new)
    assert set(after) & set(before), "half of them stay on average"
    # and nothing at all changes when only another label grows
    groups = [old, examples(1, 100)]
    grown = [old, examples(1, 900)]
    of_first = [e for e in balanced(groups, 80, key=key) if e.label == 0]
    assert of_first == [e for e in balanced(grown, 80, key=key) if e.label == 0]


def test_the_border_between_parts_counts() -> None:
    assert content_hash("ab", "c") != content_hash("a", "bc")


def test_a_label_without_examples_is_the_users_fault() -> None:
    task = TopicsConfig(name="topics", num_train=2, num_valid=2, num_test=2)
    facts = TaskFacts(labels=("a", "b"))
    with pytest.raises(UserError, match="no train example of label 'b'; raise num_train"):
        task.check(examples(0, 3), split="train", facts=facts, where="corpus")
    with pytest.raises(UserError, match="the valid split gives task topics no example"):
        task.check([], split="valid", facts=facts, where="corpus")
    task.check(examples(0, 3), split="valid", facts=facts, where="corpus")


def test_answers_are_kept_by_id_so_an_id_names_one_example() -> None:
    task = TopicsConfig(name="topics", num_train=2, num_valid=2, num_test=2)
    facts = TaskFacts(labels=("a", "b"))
    twice = [*examples(0, 3), *examples(0, 2)]
    with pytest.raises(UserError, match="names 2 examples of the test split"):
        task.check(twice, split="test", facts=facts, where="corpus")
