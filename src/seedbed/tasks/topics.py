"""Topics: which package a docstring comes from, with every package's name hidden.

The split is the corpus's: by module, so that neighbours in one file never stand on both sides.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from seedbed.config import UserError
from seedbed.corpora import Document, Split
from seedbed.tasks.classification import MadeTask
from seedbed.tasks.examples import Example, TaskFacts, balanced, content_hash

SHORT_NAME = 4
"""Names up to this length hide in other words (`pip` in `pipeline`), so only whole words of them count."""


class TopicsConfig(MadeTask):
    """The `num_labels` packages with the most documents; as many examples of each as there are."""

    name: Literal["topics"]
    num_labels: int = Field(16, ge=2)
    placeholder: str = Field("_", description="what a hidden name is replaced by")

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        """Labels: the packages with most train documents, alphabetically. Masked: every spelling of them."""
        counts = Counter(document.meta["package"] for document in documents if "package" in document.meta)
        if len(counts) < self.num_labels:
            raise UserError(
                f"task.num_labels: {self.num_labels} packages asked for, the corpus's train split has "
                f"{len(counts)}; lower it or use another corpus"
            )
        ranked = sorted(counts, key=lambda package: (-counts[package], package))
        labels = sorted(ranked[: self.num_labels])
        masked = {label.lower() for label in labels}
        for document in documents:
            if document.meta.get("package") in labels:
                masked.add(document.meta["module"].split(".")[0].lower())
        return TaskFacts(labels=tuple(labels), masked=tuple(sorted(masked)))

    def examples(self, documents: Sequence[Document], *, split: Split, facts: TaskFacts) -> list[Example]:
        numbers = {label: number for number, label in enumerate(facts.labels)}
        groups: list[list[Example]] = [[] for _ in numbers]
        for document in documents:
            label = numbers.get(document.meta.get("package", ""))
            if label is not None:
                groups[label].append(Example(document.id, document.text, None, label))
        chosen = balanced(groups, self.count(split), key=lambda example: content_hash(example.text))
        pattern = mask_pattern(facts.masked)
        return [
            Example(example.id, pattern.sub(self.placeholder, example.text), None, example.label)
            for example in chosen
        ]


def mask_pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Finds the names in any case; `-`, `_`, `.` and blanks inside a name are one, and may be left out.

    Longer names are found inside words too (`MlflowClient`, `pytorch`). Only ASCII letters and digits bound
    a short name, so a name with a Korean particle attached is found.
    """
    parts = []
    for name in sorted(names, key=lambda name: (-len(name), name)):
        words = [re.escape(word) for word in re.split(r"[-_.\s]+", name) if word]
        body = r"[-_.\s]?".join(words)
        short = len(name) <= SHORT_NAME
        parts.append(rf"(?<![A-Za-z0-9]){body}(?![A-Za-z0-9])" if short else body)
    return re.compile("|".join(parts), re.IGNORECASE) if parts else re.compile(r"(?!)")
