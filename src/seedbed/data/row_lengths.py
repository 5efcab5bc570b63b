"""Rows whose length depends on the step: BERT trains nine tenths of its steps on rows of 128 tokens and the
last tenth on rows of 512 (arXiv 1810.04805, appendix A.2).
"""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field
from torch import Tensor

from seedbed.config import Strict
from seedbed.data.packing import PackedRows


class RowLength(Strict):
    """One stretch of a run; stretches follow each other as they are listed."""

    tokens: int = Field(ge=3, description="of a row")
    share: float = Field(gt=0, le=1, description="of the run's steps")


class Stretch(NamedTuple):
    """Steps [first, stop) and the length of their rows."""

    first: int
    stop: int
    length: int


def stretches(lengths: Sequence[RowLength], *, max_steps: int, longest: int) -> list[Stretch]:
    """The steps of each length, rounded to whole ones; without lengths all steps have the longest rows."""
    found: list[Stretch] = []
    share = 0.0
    for one in lengths or [RowLength(tokens=longest, share=1.0)]:
        share += one.share
        first = found[-1].stop if found else 0
        found.append(Stretch(first, round(share * max_steps), one.tokens))
    return [stretch for stretch in found if stretch.stop > stretch.first]


class RowsByStep:
    """Presentations of one corpus in rows of several lengths: still a function of (seed, step) alone."""

    def __init__(self, parts: Sequence[tuple[Stretch, PackedRows]], *, global_batch_size: int) -> None:
        """Each part's rows begin with their first presentation where its stretch begins."""
        self.parts, self._global_batch_size = parts, global_batch_size

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        """Presentations [first, first + count), which lie in one step and so have one length."""
        start, rows = self._at(first)
        return rows.batch(first - start, count)

    def names(self, first: int, count: int) -> list[str]:
        start, rows = self._at(first)
        return rows.names(first - start, count)

    def length(self, step: int) -> int:
        """Tokens of a row in a step, from 0."""
        return next((s.length for s, _ in self.parts if step < s.stop), self.parts[-1][0].length)

    @property
    def num_epochs(self) -> float:
        """How often the whole run presents every row."""
        return sum(self._presentations(stretch) / rows.num_rows for stretch, rows in self.parts)

    @property
    def num_tokens(self) -> int:
        """Tokens that the whole run presents, padding not among them."""
        return sum(
            round(self._presentations(stretch) * (stretch.length - rows.num_padding / rows.num_rows))
            for stretch, rows in self.parts
        )

    def _presentations(self, stretch: Stretch) -> int:
        return (stretch.stop - stretch.first) * self._global_batch_size

    def _at(self, presentation: int) -> tuple[int, PackedRows]:
        """The first presentation of the stretch that holds one, and the stretch's rows."""
        step = presentation // self._global_batch_size
        stretch, rows = next((part for part in self.parts if step < part[0].stop), self.parts[-1])
        return stretch.first * self._global_batch_size, rows
