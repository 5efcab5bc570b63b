"""A token stream cut into rows as it is, for decoders: no marks but the end of text between documents.

Shapes: B rows, L = max_length positions.
"""

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seedbed.config import Strict, UserError
from seedbed.data.packing import SpecialIds
from seedbed.data.randomness import uniform
from seedbed.data.shards import TokenStore

Ids = npt.NDArray[np.int64]


class StreamConfig(Strict):
    """Rows of L tokens, and as labels the token that follows each."""

    name: Literal["stream"]

    gives: ClassVar[frozenset[str]] = frozenset({"labels"})

    def build(self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds) -> "Stream":
        return Stream(store, max_length=max_length)


class Stream:
    """The stream is a ring, cut anew for every epoch at a random place c: row i reads tokens c + i*L to
    c + (i+1)*L - 1 and predicts c + i*L + 1 to c + (i+1)*L, so each token is predicted once, and none always
    has the same ones before it (GPT, Radford et al. 2018, section 4.1, samples rows anywhere). What of the
    ring fills no row is left out of that epoch: `num_dropped_tokens`.
    """

    def __init__(self, store: TokenStore, *, max_length: int) -> None:
        self._store, self._max_length = store, max_length
        self.num_rows = max(0, store.num_tokens - 1) // max_length
        self.num_padding = 0
        if not self.num_rows:
            raise UserError(
                f"{store.folder / store.split}: {store.num_tokens} tokens do not fill one row of max_length "
                f"{max_length} and the token after it; give more text, another split of it, or a smaller "
                "max_length"
            )
        self.num_dropped_tokens = store.num_tokens - 1 - self.num_rows * max_length

    def rows(self, numbers_B: Ids, draws_B: Ids, seed: int) -> dict[str, Ids]:
        """`input_ids` and `labels`, each (B, L)."""
        size, end = self._max_length + 1, self._store.num_tokens
        rows = np.empty((len(numbers_B), size), dtype=np.int64)
        for row, start in zip(rows, self.starts(numbers_B, draws_B, seed).tolist(), strict=True):
            head = min(size, end - start)
            row[:head] = self._store.read(start, start + head)
            row[head:] = self._store.read(0, size - head)
        return {"input_ids": rows[:, :-1].copy(), "labels": rows[:, 1:].copy()}

    def starts(self, numbers_B: Ids, draws_B: Ids, seed: int) -> Ids:
        """The place in the stream where each row begins."""
        epochs_B = draws_B // self.num_rows
        first = int(epochs_B.min())
        cuts = uniform(seed, "cut", first, int(epochs_B.max()) - first + 1, 1)[:, 0]
        cuts_B = (cuts[epochs_B - first] * self._store.num_tokens).astype(np.int64)
        starts_B: Ids = (cuts_B + numbers_B * self._max_length) % self._store.num_tokens
        return starts_B
