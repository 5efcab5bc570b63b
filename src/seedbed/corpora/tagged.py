"""Sentences with a tag for each word or character, in CoNLL's columns: a unit a line, then a blank line.

Wherever a file comes with IOB1 (an entity begins with `I-`, with `B-` only right after another of its type:
Ramshaw and Marcus 1995, CoNLL-2003) its tags are rewritten as IOB2, where every entity begins with `B-`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora.base import Document, read_lines
from seedbed.corpora.readers import matching

DOCUMENT_START = "-DOCSTART-"


class TaggedConfig(Strict):
    """The text is the units joined by `joined_by`; meta `tags` has one for each, `spans` its place."""

    name: Literal["tagged"]
    files: str = "**/*.conll*"
    delimiter: str = Field("\t", min_length=1, max_length=1)
    unit_column: int = Field(0, ge=0)
    tag_column: int = Field(-1, description="-1: the last")
    joined_by: Literal[" ", ""] = Field(" ", description='" ": units are words; "": characters, blanks too')
    comment: str | None = Field(None, description="lines that begin so are no units")
    scheme: Literal["iob1", "iob2"] = "iob2"

    def read(self, folder: Path) -> Iterator[Document]:
        """Sentences; a document's mark (`-DOCSTART-`) is none."""
        for path, name in matching(folder, self.files):
            units: list[tuple[str, str]] = []
            first = 0
            for number, line in read_lines(path):
                if line and not (self.comment and line.startswith(self.comment)):
                    first = first if units else number
                    units.append(self._unit(line, f"{path}:{number}"))
                elif not line and units:
                    yield from self._sentence(units, name, first)
                    units = []
            if units:
                yield from self._sentence(units, name, first)

    def _unit(self, line: str, where: str) -> tuple[str, str]:
        columns = line.split(self.delimiter)
        try:
            unit, tag = columns[self.unit_column], columns[self.tag_column]
        except IndexError:
            raise UserError(
                f"{where}: {len(columns)} columns; check delimiter {self.delimiter!r} and the columns"
            ) from None
        if len(columns) < 2 or not (tag == "O" or tag[:2] in ("B-", "I-")):
            raise UserError(f"{where}: tag {tag[:40]!r}; tags are O, B-<type> or I-<type>; check the columns")
        return unit, tag

    def _sentence(self, units: Sequence[tuple[str, str]], name: str, first: int) -> Iterator[Document]:
        words = [word for word, _ in units]
        if words[0] == DOCUMENT_START:
            return
        tags = [tag for _, tag in units]
        spans, at = [], 0
        for word in words:
            spans.append([at, at + len(word)])
            at += len(word) + len(self.joined_by)
        meta = {
            "tags": " ".join(to_iob2(tags) if self.scheme == "iob1" else tags),
            "spans": json.dumps(spans, separators=(",", ":")),
        }
        yield Document(f"{name}:{first}", self.joined_by.join(words), meta)


def to_iob2(tags: Sequence[str]) -> list[str]:
    """IOB1 as IOB2: an `I-` that continues no entity of its type begins one."""
    made = []
    for before, tag in zip(["O", *tags], tags, strict=False):
        begins = tag.startswith("I-") and before[2:] != tag[2:]
        made.append(f"B-{tag[2:]}" if begins else tag)
    return made
