"""Benchmarks: tasks whose answers are published with the documents, in the fields that a reader kept."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from seedbed.config import UserError
from seedbed.corpora import Document, Split
from seedbed.tasks.examples import E, Task, TaskFacts, content_hash, smallest


class Benchmark(Task[E], ABC):
    """Every document is an example, in the publisher's order; a benchmark is a file in conf/task, no code."""

    num_train: int | None = Field(None, ge=2, description="most examples of train, chosen by hash; null: all")
    num_valid: int | None = Field(None, ge=2)
    num_test: int | None = Field(None, ge=2)

    @abstractmethod
    def example(self, document: Document, facts: TaskFacts) -> E:
        """The example that a document is."""

    def examples(self, documents: Sequence[Document], *, split: Split, facts: TaskFacts) -> list[E]:
        count = {"train": self.num_train, "valid": self.num_valid, "test": self.num_test}[split]
        if count is not None and count < len(documents):
            # the text alone does not tell questions about one paragraph apart
            chosen = smallest(
                range(len(documents)),
                count,
                key=lambda n: content_hash(documents[n].text, *sorted(documents[n].meta.values())),
            )
            documents = [documents[number] for number in sorted(chosen)]
        return [self.example(document, facts) for document in documents]

    def title(self, corpus: str) -> str:
        """The corpus: many benchmarks are of one kind."""
        return corpus


def field_of(document: Document, key: str) -> str:
    """A field that the reader must have kept."""
    if key not in document.meta:
        known = ", ".join(sorted(document.meta)) or "none"
        raise UserError(
            f"document {document.id}: no {key!r} in its meta (keys: {known}); name it in the reader's "
            "`meta`, or correct the task"
        )
    return document.meta[key]


def json_of(document: Document, key: str) -> Any:
    """A field that holds JSON."""
    try:
        return json.loads(field_of(document, key))
    except ValueError:
        raise UserError(f"document {document.id}: meta {key!r} is not JSON; make the corpus again") from None


def number_of(document: Document, key: str) -> float:
    """A field that holds a finite number: NaN would be learned into every weight."""
    try:
        number = float(field_of(document, key))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(
            f"document {document.id}: {key} is {document.meta[key][:40]!r}, expected a number; "
            "correct the corpus or the task's fields"
        )
    return number
