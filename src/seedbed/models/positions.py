"""How a decoder knows where a token stands: a learned vector added to it, or turned queries and keys.

Shapes: B rows, L positions, D hidden size, H heads, K size of a head, R turned numbers of a head.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Positions(nn.Module, ABC):
    """Both places where a position can enter; `first` is the position of the first token given."""

    @abstractmethod
    def embed(self, tokens_BLD: Tensor, first: int) -> Tensor:
        """What the first block reads of the token embeddings."""

    @abstractmethod
    def turn(self, heads_BHLK: Tensor, first: int) -> Tensor:
        """Queries or keys as they are compared."""


class LearnedPositions(Positions):
    """One vector for each position, added to the token's (GPT, Radford et al. 2018, section 4.1)."""

    def __init__(self, max_length: int, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(max_length, size)

    def embed(self, tokens_BLD: Tensor, first: int) -> Tensor:
        return tokens_BLD + self.table.weight[first : first + tokens_BLD.shape[1]]

    def turn(self, heads_BHLK: Tensor, first: int) -> Tensor:
        return heads_BHLK


class RotaryPositions(Positions):
    """Rotary embedding (Su et al. 2021, arXiv 2104.09864, section 3.2) of the first `size` numbers of a head.

    Neighbours (0, 1), (2, 3) ... are turned together, as in GPT-J; other models pair the halves. Angles
    are computed in fp32, as Hugging Face does: at position 2,000 that is 7e-5 off the exact angle.
    """

    sin: Tensor
    cos: Tensor

    def __init__(self, max_length: int, size: int) -> None:
        super().__init__()
        self.size = size
        frequency = 1.0 / 10000 ** (torch.arange(0, size, 2) / size)
        angle = torch.arange(max_length).float()[:, None] * frequency
        self.register_buffer("sin", angle.sin(), persistent=False)
        self.register_buffer("cos", angle.cos(), persistent=False)

    def embed(self, tokens_BLD: Tensor, first: int) -> Tensor:
        return tokens_BLD

    def turn(self, heads_BHLK: Tensor, first: int) -> Tensor:
        rows = slice(first, first + heads_BHLK.shape[2])
        sin, cos = self.sin[rows].to(heads_BHLK.dtype), self.cos[rows].to(heads_BHLK.dtype)
        turned_BHLR, rest = heads_BHLK[..., : self.size], heads_BHLK[..., self.size :]
        even, odd = turned_BHLR[..., 0::2], turned_BHLR[..., 1::2]
        turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1)
        return torch.cat([turned.flatten(-2), rest], -1)
