"""A token stream as full rows without padding: FULL-SENTENCES of RoBERTa (arXiv 1907.11692, section 4.2).

Shapes: B rows, L = max_length positions.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from seedbed.config import UserError
from seedbed.data.randomness import derive_seed, shuffled
from seedbed.data.shards import TokenStore

Prepare = Callable[[npt.NDArray[np.int64], int, int], dict[str, Tensor]]
"""(rows_BL, number of the first row's presentation, seed) -> batch: an objective's corruption."""


class SpecialIds(Protocol):
    """The part of a Vocabulary that packing places."""

    @property
    def cls_id(self) -> int: ...
    @property
    def sep_id(self) -> int: ...


class PackedRows:
    """Presentations of rows [CLS] content [SEP]; content runs on across documents.

    Row i holds stream tokens [i*(L-2), (i+1)*(L-2)); the stream has a separator after every document.
    The tail that fills no row is left out: `num_dropped_tokens`.
    """

    def __init__(
        self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds, seed: int, prepare: Prepare
    ) -> None:
        if max_length < 3:
            raise UserError(
                f"max_length: {max_length} leaves no room between [CLS] and [SEP]; take 3 or more"
            )
        self._store, self._prepare = store, prepare
        self._max_length, self._vocabulary = max_length, vocabulary
        self._shuffle_seed = derive_seed(seed, "rows")
        self._train_seed = derive_seed(seed, "prepare")
        self._valid_seed = derive_seed(seed, "prepare in order")
        self.num_rows, self.num_dropped_tokens = divmod(store.num_tokens, max_length - 2)
        if not self.num_rows:
            raise UserError(
                f"{store.folder / store.split}: {store.num_tokens} tokens do not fill one row of max_length "
                f"{max_length}; give more text, another split of it, or a smaller max_length"
            )

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        """Presentations [first, first + count), every epoch in a new order."""
        return self._prepare(self.rows(self._order(first, count)), first, self._train_seed)

    def names(self, first: int, count: int) -> list[str]:
        return [f"row {number}" for number in self._order(first, count)]

    def _order(self, first: int, count: int) -> npt.NDArray[np.int64]:
        presentations = np.arange(first, first + count, dtype=np.int64)
        return shuffled(presentations, self.num_rows, self._shuffle_seed)

    def batches(self, batch_size: int, *, max_rows: int | None = None) -> Iterator[dict[str, Tensor]]:
        """The rows in order, once, corrupted the same way at every call: for validation."""
        end = self.num_rows if max_rows is None else min(max_rows, self.num_rows)
        for first in range(0, end, batch_size):
            numbers_B = np.arange(first, min(first + batch_size, end), dtype=np.int64)
            yield self._prepare(self.rows(numbers_B), first, self._valid_seed)

    def rows(self, numbers_B: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """rows_BL of the given row numbers."""
        content = self._max_length - 2
        rows_BL = np.empty((len(numbers_B), self._max_length), dtype=np.int64)
        rows_BL[:, 0] = self._vocabulary.cls_id
        rows_BL[:, -1] = self._vocabulary.sep_id
        for row_L, number in zip(rows_BL, numbers_B.tolist(), strict=True):
            row_L[1:-1] = self._store.read(number * content, (number + 1) * content)
        return rows_BL
