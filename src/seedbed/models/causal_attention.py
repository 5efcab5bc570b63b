"""Attention to what came before: all of it, or a window (Child et al. 2019, arXiv 1904.10509, as in GPT-Neo).

Shapes: B rows, H heads, K size of a head, L positions read, Q queries, which stand at the last Q of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seedbed.models.dropout import drop

QUERIES_AT_ONCE = 256


class Stretch(NamedTuple):
    """Queries [first, stop) and the keys [low, high) that any of them may read."""

    first: int
    stop: int
    low: int
    high: int


@dataclass(frozen=True)
class CausalAttention:
    """Every position reads itself and what is before it; scores are multiplied by `scale`."""

    scale: float

    def window(self, num_keys: int) -> int:
        """How many positions a query reads at most, itself among them."""
        return num_keys

    def __call__(self, query_BHQK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, *, dropout: float) -> Tensor:
        """context_BQD, heads side by side.

        Explicit products on the CPU, where the backward pass of torch's fused kernel is slow, and there
        in stretches, so that most of what no query may read is not computed; the fused kernel elsewhere.
        """
        B, H, Q, K = query_BHQK.shape
        if query_BHQK.device.type == "cpu":
            context_BHQK = self.explicit(query_BHQK, key_BHLK, value_BHLK, dropout=dropout)
        else:
            context_BHQK = self.fused(query_BHQK, key_BHLK, value_BHLK, dropout=dropout)
        return context_BHQK.transpose(1, 2).reshape(B, Q, H * K)

    def explicit(self, query_BHQK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, *, dropout: float) -> Tensor:
        """context_BHQK by matrix products."""
        contexts = []
        for part in self.stretches(query_BHQK.shape[2], key_BHLK.shape[2]):
            keys_BHLK = key_BHLK[:, :, part.low : part.high]
            scores_BHQL = (query_BHQK[:, :, part.first : part.stop] * self.scale) @ keys_BHLK.transpose(2, 3)
            if part.stop - part.first > 1:
                visible_QL = self.visible(part, key_BHLK.shape[2], query_BHQK)
                scores_BHQL.masked_fill_(~visible_QL, float("-inf"))
            weights_BHQL = drop(scores_BHQL.softmax(-1), dropout, True)
            contexts.append(weights_BHQL @ value_BHLK[:, :, part.low : part.high])
        return contexts[0] if len(contexts) == 1 else torch.cat(contexts, 2)

    def fused(self, query_BHQK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, *, dropout: float) -> Tensor:
        """context_BHQK by torch's kernel, which needs no mask when everything before may be read."""
        Q, L = query_BHQK.shape[2], key_BHLK.shape[2]
        plain = Q == L and self.window(L) >= L
        visible_QL = None if plain else self.visible(Stretch(0, Q, 0, L), L, query_BHQK)
        return F.scaled_dot_product_attention(
            query_BHQK,
            key_BHLK,
            value_BHLK,
            attn_mask=visible_QL,
            dropout_p=dropout,
            is_causal=plain,
            scale=self.scale,
        )

    def stretches(self, num_queries: int, num_keys: int) -> Iterator[Stretch]:
        """The queries, some at a time."""
        past = num_keys - num_queries
        for first in range(0, num_queries, QUERIES_AT_ONCE):
            stop = min(first + QUERIES_AT_ONCE, num_queries)
            yield Stretch(first, stop, max(0, past + first + 1 - self.window(num_keys)), past + stop)

    def visible(self, part: Stretch, num_keys: int, like: Tensor) -> Tensor:
        """Which keys of a stretch each of its queries reads, as booleans on the device of `like`."""
        # query r stands at position r + offset, counted from the stretch's first key
        offset = part.high - part.low - (part.stop - part.first)
        shape = (part.stop - part.first, part.high - part.low)
        visible_QL = torch.ones(shape, dtype=torch.bool, device=like.device).tril(offset)
        return visible_QL.triu(offset + 1 - self.window(num_keys))


@dataclass(frozen=True)
class LocalAttention(CausalAttention):
    """Every position reads itself and the `size - 1` before it."""

    size: int

    def window(self, num_keys: int) -> int:
        return self.size
