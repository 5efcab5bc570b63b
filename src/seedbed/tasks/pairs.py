"""Pairs: does a docstring's opening sentence stand before or after a sentence of a later paragraph?

Sentence-order prediction (Lan et al. 2020, ALBERT, arXiv 1909.11942, section 3.1) as a task: both parts
come from one document, so its topic does not give the answer, only what opens a text and what goes on.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from seedbed.corpora import Document, Split
from seedbed.tasks.classification import MadeTask
from seedbed.tasks.examples import Asks, Example, TaskFacts, balanced, content_hash

BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+")


class PairsConfig(MadeTask):
    """The leading long enough sentences of the first two paragraphs that have one; half swapped."""

    name: Literal["pairs"]
    min_characters: int = Field(30, ge=1, description="a shorter sentence says too little to be placed")
    max_characters: int = Field(160, ge=1, description="a longer sentence is cut here")

    @property
    def asks(self) -> Asks:
        return "pairs"

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        return TaskFacts(labels=("swapped", "in_order"))

    def examples(self, documents: Sequence[Document], *, split: Split, facts: TaskFacts) -> list[Example]:
        """Whether a pair is swapped is a bit of its content's hash, so no order of documents tells it."""
        groups: list[list[Example]] = [[], []]
        seen: set[str] = set()
        for document in documents:
            pair = self.sentences(document.text)
            if pair is None or (content := content_hash(*pair)) in seen:
                continue
            seen.add(content)
            in_order = int(content[-1], 16) % 2
            first, second = pair if in_order else pair[::-1]
            groups[in_order].append(Example(document.id, first, second, in_order))
        return balanced(
            groups, self.count(split), key=lambda example: content_hash(example.text, example.pair or "")
        )

    def sentences(self, text: str) -> tuple[str, str] | None:
        """Sentences of at least `min_characters` that lead two paragraphs; None where there are no two.

        They are put on one line each: an indentation would betray the place of many.
        """
        leading = []
        for paragraph in BLANK_LINE.split(text):
            for sentence in SENTENCE_END.split(" ".join(paragraph.split())):
                if len(sentence) >= self.min_characters and cut(sentence, self.max_characters) not in leading:
                    leading.append(cut(sentence, self.max_characters))
                    break
            if len(leading) == 2:
                return leading[0], leading[1]
        return None


def cut(text: str, count: int) -> str:
    """At most `count` characters, never a letter without its combining marks."""
    while 0 < count < len(text) and unicodedata.combining(text[count]):
        count -= 1
    return text[:count]
