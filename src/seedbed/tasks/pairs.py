"""Pairs: do two neighbouring sentences of a docstring stand in their own order?

Sentence-order prediction (Lan et al. 2020, ALBERT, arXiv 1909.11942, section 3.1) as a task: both parts
come from one paragraph, so neither topic nor vocabulary gives the answer, only what may follow what.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from pydantic import Field

from seedbed.corpora import Document, Split
from seedbed.tasks.examples import Example, Task, TaskFacts, balanced, content_hash

BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+")


class PairsConfig(Task):
    """The first two long enough sentences of a paragraph of each document; half of the pairs are swapped."""

    name: Literal["pairs"]
    min_characters: int = Field(30, ge=1, description="a shorter sentence says too little to be placed")
    max_characters: int = Field(160, ge=1, description="a longer sentence is cut here")

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
        """Two neighbours of at least `min_characters` in the first paragraph that has them; None without.

        They are put on one line each: an indentation would betray the place of many.
        """
        for paragraph in BLANK_LINE.split(text):
            found = [
                cut(sentence, self.max_characters)
                for sentence in SENTENCE_END.split(" ".join(paragraph.split()))
            ]
            for first, second in pairwise(found):
                if min(len(first), len(second)) >= self.min_characters and first != second:
                    return first, second
        return None


def cut(text: str, count: int) -> str:
    """At most `count` characters, never a letter without its combining marks."""
    while 0 < count < len(text) and unicodedata.combining(text[count]):
        count -= 1
    return text[:count]
