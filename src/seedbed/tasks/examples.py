"""Labelled examples, and the contract of a task that makes them from documents.

Which documents a split's examples come from, and in what order, is decided by hashes of their text alone:
not by file order, time or a generator's state.
"""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora import Document, Split, read_split
from seedbed.workspace import hash_bytes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """A text, or a pair of texts, with the number of its label."""

    id: str
    text: str
    pair: str | None
    label: int


class TaskFacts(Strict):
    """What a task read from the train split; kept in the artifact so that every later split is made alike."""

    labels: tuple[str, ...]
    masked: tuple[str, ...] = ()
    """Words that stand for a label and are hidden in every text."""


class Task(Strict, ABC):
    """Documents in, labelled examples out; one file each, named in the catalogue of `seedbed.tasks`."""

    name: str
    metric: ClassVar[str] = "accuracy"

    num_train: int = Field(ge=2, description="labelled examples to learn from, shared out over the labels")
    num_valid: int = Field(ge=2, description="most examples of the valid split")
    num_test: int = Field(ge=2, description="most examples of the test split")

    @abstractmethod
    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        """The labels, and what else depends on data, from the documents of the train split."""

    @abstractmethod
    def examples(self, documents: Sequence[Document], *, split: Split, facts: TaskFacts) -> list[Example]:
        """The examples of one split, in the order of their hashes."""

    def count(self, split: Split) -> int:
        return {"train": self.num_train, "valid": self.num_valid, "test": self.num_test}[split]


def content_hash(*parts: str) -> str:
    """The number that decides about a text; the parts' borders count."""
    return hash_bytes("\x00".join(parts).encode("utf-8", "surrogatepass"))


def smallest(items: Iterable[T], count: int, *, key: Callable[[T], str]) -> list[T]:
    """The `count` items of smallest key, in order.

    A larger corpus only ever displaces items by new ones of smaller hash: whatever is chosen from it was
    chosen before or is new.
    """
    return heapq.nsmallest(count, items, key=key)


def shares(count: int, num_labels: int) -> list[int]:
    """`count` shared out over the labels as evenly as can be, the first ones taking what is over."""
    return [count // num_labels + (label < count % num_labels) for label in range(num_labels)]


def balanced(
    groups: Sequence[Sequence[Example]], count: int, *, key: Callable[[Example], str]
) -> list[Example]:
    """`count` examples, as many of each label (group) as there are to have; mixed, in the order of `key`."""
    chosen = [
        example
        for group, share in zip(groups, shares(count, len(groups)), strict=True)
        for example in smallest(group, share, key=key)
    ]
    return sorted(chosen, key=key)


def training_examples(task: Task, corpus: Path) -> tuple[TaskFacts, list[Example], list[Example]]:
    """What the task learned, and its train and valid examples; the test split stays shut."""
    documents = list(read_split(corpus, "train"))
    facts = task.learn(documents)
    made: list[list[Example]] = []
    splits: tuple[Split, ...] = ("train", "valid")
    for split in splits:
        documents = documents if split == "train" else list(read_split(corpus, split))
        examples = task.examples(documents, split=split, facts=facts)
        check_examples(examples, task=task.name, split=split, labels=facts.labels, where=str(corpus))
        made.append(examples)
    return facts, made[0], made[1]


def check_examples(
    examples: Sequence[Example], *, task: str, split: Split, labels: Sequence[str], where: str
) -> None:
    """Every label must have an example to learn from, and each split something to score."""
    missing = sorted(set(range(len(labels))) - {example.label for example in examples})
    if not examples:
        raise UserError(
            f"{where}: the {split} split gives task {task} no example; use a larger corpus, "
            f"or change conf/task/{task}.yaml"
        )
    if split == "train" and missing:
        raise UserError(
            f"{where}: task {task}: no train example of label {labels[missing[0]]!r}; raise num_train "
            f"(now {len(examples)} examples of {len(labels)} labels) or use a larger corpus"
        )
