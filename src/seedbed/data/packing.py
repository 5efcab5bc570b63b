"""Rows of a token store as presentations: shuffled anew in every epoch, then corrupted by the objective.

What stands in a row is a layout's business (`data/__init__.py` lists them). Shapes: B rows, L = max_length
positions.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seedbed.data.masks import Masks
from seedbed.data.randomness import derive_seed, shuffled

Ids = npt.NDArray[np.int64]
Prepare = Callable[[Ids, int | Ids, int], dict[str, Tensor]]
"""(rows_BL, draws, seed) -> batch: an objective's corruption. `draws` numbers what is drawn for each row;
one number stands for itself and its successors."""


class SpecialIds(Protocol):
    """The part of a Vocabulary that layouts place."""

    @property
    def pad_id(self) -> int: ...
    @property
    def cls_id(self) -> int: ...
    @property
    def sep_id(self) -> int: ...


class Layout(Protocol):
    """Which tokens stand in which row: a function of the row's number, its draw and the seed."""

    num_rows: int
    num_dropped_tokens: int
    """Tokens of the store that no row holds."""
    num_padding: int
    """Positions of all rows together that hold no token."""

    def rows(self, numbers_B: Ids, draws_B: Ids, seed: int) -> dict[str, Ids]:
        """`input_ids` (B, L), and whatever else of the batch belongs to the row.

        A draw is epoch * num_rows + anything below num_rows; most layouts draw nothing.
        """
        ...


class PackedRows:
    """Presentations of the rows of a layout."""

    def __init__(self, layout: Layout, *, masks: Masks, seed: int, prepare: Prepare) -> None:
        self._layout, self._masks, self._prepare = layout, masks, prepare
        self._shuffle_seed = derive_seed(seed, "rows")
        self._train_seed = derive_seed(seed, "prepare")
        self._valid_seed = derive_seed(seed, "prepare in order")
        self.num_rows = layout.num_rows
        self.num_dropped_tokens = layout.num_dropped_tokens
        self.num_padding = layout.num_padding

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        """Presentations [first, first + count), every epoch in a new order."""
        presentations_B, numbers_B = self._order(first, count)
        draws_B = self._masks.draws(presentations_B, numbers_B, self.num_rows)
        return self._made(numbers_B, draws_B, self._train_seed)

    def names(self, first: int, count: int) -> list[str]:
        return [f"row {number}" for number in self._order(first, count)[1]]

    def _order(self, first: int, count: int) -> tuple[Ids, Ids]:
        """Presentations and the rows they present."""
        presentations_B = np.arange(first, first + count, dtype=np.int64)
        return presentations_B, shuffled(presentations_B, self.num_rows, self._shuffle_seed)

    def batches(self, batch_size: int, *, max_rows: int | None = None) -> Iterator[dict[str, Tensor]]:
        """The rows in order, once, corrupted the same way at every call: for validation."""
        end = self.num_rows if max_rows is None else min(max_rows, self.num_rows)
        for first in range(0, end, batch_size):
            numbers_B = np.arange(first, min(first + batch_size, end), dtype=np.int64)
            yield self._made(numbers_B, numbers_B, self._valid_seed)

    def _made(self, numbers_B: Ids, draws_B: Ids, seed: int) -> dict[str, Tensor]:
        found = self._layout.rows(numbers_B, draws_B, seed)
        batch = self._prepare(found.pop("input_ids"), draws_B, seed)
        return batch | {name: torch.from_numpy(values) for name, values in found.items()}
