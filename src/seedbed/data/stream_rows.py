"""A token stream cut into rows as it is, for decoders: no marks but the end of text between documents.

Shapes: B rows, L = max_length positions.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch import Tensor

from seedbed.config import UserError
from seedbed.data.packing import PackedRows, Prepare, SpecialIds
from seedbed.data.randomness import derive_seed, shuffled, uniform
from seedbed.data.shards import TokenStore

Ids = npt.NDArray[np.int64]


class StreamRows(PackedRows):
    """Presentations of rows of L + 1 tokens: L that are read, and the one that follows each of them.

    The stream is a ring, cut anew for every epoch at a random place c: row i holds tokens c + i*L to
    c + (i+1)*L, so neighbours share a token, each is predicted once, and none always has the same ones
    before it (GPT, Radford et al. 2018, section 4.1, samples rows anywhere). What of the ring fills no row
    is left out of that epoch: `num_dropped_tokens`. Validation cuts at 0.
    """

    def __init__(
        self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds, seed: int, prepare: Prepare
    ) -> None:
        self._store, self._prepare = store, prepare
        self._max_length, self._vocabulary = max_length, vocabulary
        self._shuffle_seed = derive_seed(seed, "rows")
        self._cut_seed = derive_seed(seed, "cuts")
        self._train_seed = derive_seed(seed, "prepare")
        self._valid_seed = derive_seed(seed, "prepare in order")
        self.num_rows = max(0, store.num_tokens - 1) // max_length
        if not self.num_rows:
            raise UserError(
                f"{store.folder / store.split}: {store.num_tokens} tokens do not fill one row of max_length "
                f"{max_length} and the token after it; give more text, another split of it, or a smaller "
                "max_length"
            )
        self.num_dropped_tokens = store.num_tokens - 1 - self.num_rows * max_length

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        """Presentations [first, first + count), every epoch cut anew and in a new order."""
        return self._prepare(self._read(self.starts(first, count)), first, self._train_seed)

    def names(self, first: int, count: int) -> list[str]:
        return [f"{self._max_length} tokens from {start}" for start in self.starts(first, count)]

    def batches(self, batch_size: int, *, max_rows: int | None = None) -> Iterator[dict[str, Tensor]]:
        """The rows in order, once, the same at every call: for validation."""
        end = self.num_rows if max_rows is None else min(max_rows, self.num_rows)
        for first in range(0, end, batch_size):
            numbers_B = np.arange(first, min(first + batch_size, end), dtype=np.int64)
            yield self._prepare(self._read(numbers_B * self._max_length), first, self._valid_seed)

    def starts(self, first: int, count: int) -> Ids:
        """The place in the stream where each presentation begins."""
        presentations_B = np.arange(first, first + count, dtype=np.int64)
        numbers_B = shuffled(presentations_B, self.num_rows, self._shuffle_seed)
        epochs_B = presentations_B // self.num_rows
        cuts = uniform(self._cut_seed, "cut", int(epochs_B[0]), int(epochs_B[-1] - epochs_B[0]) + 1, 1)[:, 0]
        cuts_B = (cuts[epochs_B - epochs_B[0]] * self._store.num_tokens).astype(np.int64)
        starts_B: Ids = (cuts_B + numbers_B * self._max_length) % self._store.num_tokens
        return starts_B

    def _read(self, starts_B: Ids) -> Ids:
        """(B, L + 1) tokens, going on at the beginning of the stream where it ends."""
        size, end = self._max_length + 1, self._store.num_tokens
        rows = np.empty((len(starts_B), size), dtype=np.int64)
        for row, start in zip(rows, starts_B.tolist(), strict=True):
            head = min(size, end - start)
            row[:head] = self._store.read(start, start + head)
            row[head:] = self._store.read(0, size - head)
        return rows
