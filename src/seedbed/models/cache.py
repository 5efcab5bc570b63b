"""Keys and values of the tokens read so far: with them a decoder reads each token once.

Shapes: B rows, H heads, K size of a head, Q new positions, L positions read, new ones included.
"""

import torch
from torch import Tensor


class Cache:
    """Room for `capacity` positions of `num_layers` layers; `length` of them are filled."""

    def __init__(
        self, *, num_layers: int, num_rows: int, num_heads: int, capacity: int, head_size: int, like: Tensor
    ) -> None:
        """`like` gives type and device."""
        shape = (num_layers, 2, num_rows, num_heads, capacity, head_size)
        self._held = torch.empty(shape, dtype=like.dtype, device=like.device)
        self.capacity = capacity
        self.length = 0

    def extend(self, layer: int, key_BHQK: Tensor, value_BHQK: Tensor) -> tuple[Tensor, Tensor]:
        """Keep a layer's new keys and values; all of them so far, (B, H, L, K) each.

        `length` moves on when every layer has been given its part: the decoder does that.
        """
        stop = self.length + key_BHQK.shape[2]
        assert stop <= self.capacity, f"{stop} positions in a cache of {self.capacity}"
        key_BHLK, value_BHLK = self._held[layer]
        key_BHLK[:, :, self.length : stop] = key_BHQK
        value_BHLK[:, :, self.length : stop] = value_BHQK
        return key_BHLK[:, :, :stop], value_BHLK[:, :, :stop]

    def select(self, rows_B: Tensor) -> None:
        """Go on with these rows, in this order; a row may be taken several times, or not at all."""
        self._held = self._held.index_select(2, rows_B)
