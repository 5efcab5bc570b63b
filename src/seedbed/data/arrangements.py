"""How a batch of texts of different lengths is computed: padded to the longest, or packed without padding.

Which examples a step has, and its gradient, are the same either way. Packing is best-fit decreasing (Johnson
1973), into rows a little longer than the longest text, as Krell et al. 2021 (arXiv 2107.02027) pack corpora.
Shapes: B texts, L positions of the longest, R rows of P positions.
"""

from bisect import bisect_left, insort
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seedbed.config import Strict

WIDTHS = 5
"""Sizes of rows that are tried, the longest text and up to an eighth more: of 32 sentences 3 % is lost."""


class PaddedConfig(Strict):
    """Every text as long as the longest of its micro-batch."""

    name: Literal["padded"]

    def arrange(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return batch


class PackedConfig(Strict):
    """Several texts to a row, one behind the other; none reads another.

    Dropout draws for the rows as they are computed, so it draws otherwise than for padded ones.
    """

    name: Literal["packed"]

    def arrange(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Beside the padded batch `packed` (R, P): which of the B*L positions stands there, -1: none."""
        mask_BL = batch["attention_mask"].numpy()
        return batch | {"packed": torch.from_numpy(pack(mask_BL.sum(1), mask_BL.shape[1]))}


def pack(lengths_B: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """packed_RP of texts that begin every `length` positions, in rows of the size that loses least."""
    longest, order = int(lengths_B.max()), np.argsort(-lengths_B, kind="stable").tolist()
    sizes = (longest + longest * step // 32 for step in range(WIDTHS))
    filled = [(size, _fill(lengths_B.tolist(), order, size)) for size in sizes]
    size, rows = min(filled, key=lambda found: (found[0] * len(found[1]), found[0]))
    packed_RP = np.full((len(rows), size), -1, dtype=np.int64)
    for row, texts in enumerate(rows):
        places = np.concatenate([text * length + np.arange(lengths_B[text]) for text in texts])
        packed_RP[row, : len(places)] = places
    return packed_RP


def _fill(lengths: list[int], order: list[int], size: int) -> list[list[int]]:
    """The texts of each row; each text goes where the least is left that is enough."""
    rows: list[list[int]] = []
    left: list[tuple[int, int]] = []  # positions of a row, and its number; sorted
    for text in order:
        at = bisect_left(left, (lengths[text], -1))
        if at == len(left):
            space, row = size, len(rows)
            rows.append([])
        else:
            space, row = left.pop(at)
        rows[row].append(text)
        insort(left, (space - lengths[text], row))
    return rows
