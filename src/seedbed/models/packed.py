"""Several texts in a row, one behind the other, each read by itself: next to no padding is computed.

Krell et al. 2021 (arXiv 2107.02027). Shapes: B texts, L positions of the longest, R rows of P positions, D
hidden size.
"""

from functools import cached_property

import torch
from torch import Tensor


class Packed:
    """The rows that hold the real positions of a padded batch, which is of `shape` (B, L).

    `packed_RP` says for each position of a row which of the B*L positions stands there, -1: none.
    """

    def __init__(self, packed_RP: Tensor, shape: tuple[int, ...]) -> None:
        self._packed_RP, self._shape = packed_RP, shape
        self._filled_RP = packed_RP.clamp(min=0)

    def rows_of(self, values_BL: Tensor, *, empty: int) -> Tensor:
        """values_RP, `empty` where no position stands."""
        return values_BL.flatten()[self._filled_RP].masked_fill(self._packed_RP < 0, empty)

    @property
    def positions_RP(self) -> Tensor:
        """The place of each token in its own text, from 0."""
        return self._filled_RP % self._shape[1]

    def bias(self, dtype: torch.dtype) -> Tensor:
        """bias_R1PP: 0 between positions of one text, the lowest finite number elsewhere."""
        texts_RP = torch.div(self._packed_RP, self._shape[1], rounding_mode="floor")
        apart_RPP = texts_RP[:, :, None] != texts_RP[:, None, :]
        bias_RPP = torch.zeros(apart_RPP.shape, dtype=dtype, device=apart_RPP.device)
        return bias_RPP.masked_fill_(apart_RPP, torch.finfo(dtype).min)[:, None]

    @cached_property
    def places_BL(self) -> Tensor:
        """Where in R*P each of the B*L positions stands; -1: it is padding."""
        B, L = self._shape
        taken_N = self._packed_RP.flatten()
        places_N = torch.full((B * L + 1,), -1, dtype=torch.int64, device=taken_N.device)
        numbers_N = torch.arange(taken_N.numel(), device=taken_N.device)
        # empty positions are noted behind the end
        places_N.scatter_(0, torch.where(taken_N < 0, B * L, taken_N), numbers_N)
        return places_N[:-1].view(B, L)

    def texts_of(self, hidden_RPD: Tensor) -> Tensor:
        """hidden_BLD, 0 in padding."""
        hidden_BLD = hidden_RPD.flatten(0, 1)[self.places_BL.clamp(min=0)]
        return hidden_BLD.masked_fill((self.places_BL < 0)[..., None], 0)
