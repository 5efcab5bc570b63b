"""How a batch of texts of different lengths is computed: padded to the longest, or packed without padding.

Which examples a step has, and its gradient, are the same either way. Packing is best-fit decreasing (Johnson
1973) into rows as long as the longest text, after Krell et al. 2021 (arXiv 2107.02027).
Shapes: B texts, L positions of the longest, R rows of P positions.
"""

from bisect import insort
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seedbed.config import Strict


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
    """packed_RP of texts that begin every `length` positions; P is the longest of `lengths_B`."""
    longest = int(lengths_B.max())
    rows: list[list[int]] = []
    spaces: list[tuple[int, int]] = []
    # best fit: the least space that is enough; sorted, so that it is the first of those
    for text in np.argsort(-lengths_B, kind="stable").tolist():
        needed = int(lengths_B[text])
        found = next((number for number, (space, _) in enumerate(spaces) if space >= needed), None)
        space, row = (longest, len(rows)) if found is None else spaces.pop(found)
        if found is None:
            rows.append([])
        rows[row].append(text)
        insort(spaces, (space - needed, row))
    packed_RP = np.full((len(rows), longest), -1, dtype=np.int64)
    for row, texts in enumerate(rows):
        places = np.concatenate([text * length + np.arange(lengths_B[text]) for text in texts])
        packed_RP[row, : len(places)] = places
    return packed_RP
