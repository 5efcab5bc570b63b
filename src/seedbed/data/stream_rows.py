"""A token stream cut into rows as it is, for decoders: no marks but the end of text between documents.

Shapes: B rows, L = max_length positions.
"""

import numpy as np
import numpy.typing as npt

from seedbed.config import UserError
from seedbed.data.packing import PackedRows, Prepare, SpecialIds
from seedbed.data.randomness import derive_seed
from seedbed.data.shards import TokenStore


class StreamRows(PackedRows):
    """Presentations of rows of L + 1 tokens: L that are read, and the one that follows each of them.

    Row i holds stream tokens [i*L, (i+1)*L + 1), so neighbours share a token and every token of the stream
    but the first is predicted once an epoch. The tail that fills no row is left out.
    """

    def __init__(
        self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds, seed: int, prepare: Prepare
    ) -> None:
        self._store, self._prepare = store, prepare
        self._max_length, self._vocabulary = max_length, vocabulary
        self._shuffle_seed = derive_seed(seed, "rows")
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

    def rows(self, numbers_B: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The rows of the given numbers, (B, L + 1)."""
        length = self._max_length
        stretches = [self._store.read(n * length, (n + 1) * length + 1) for n in numbers_B.tolist()]
        return np.stack(stretches)
