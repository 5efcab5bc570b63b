"""Choosing single tokens to predict: BERT (arXiv 1810.04805, section 3.1) as first published.

Shapes: B rows, L positions, N chosen positions of all rows.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from seedbed.config import Strict

Ids = npt.NDArray[np.int64]
Uniforms = npt.NDArray[np.float64]
Choose = Callable[..., Ids]
"""(rows_BL, uniforms_BL=...) -> chosen positions of the flattened rows, ascending."""


class Vocabulary(Protocol):
    """The part of a tokenizer's vocabulary that choosing reads."""

    @property
    def special_ids(self) -> tuple[int, ...]: ...
    def begins_word(self) -> npt.NDArray[np.bool_]: ...


class SingleTokensConfig(Strict):
    """Every token that is not special may be chosen, whatever stands beside it."""

    name: Literal["single_tokens"]

    def prepare(self, vocabulary: Vocabulary, *, share: float) -> Choose:
        """What chooses `share` of the tokens of rows."""
        return partial(choose_positions, special_ids=vocabulary.special_ids, share=share)


def number_to_choose(num_candidates_B: Ids, share: float) -> Ids:
    """round(share * candidates), half rounded up, at least 1 where there is any."""
    rounded_B = np.floor(share * num_candidates_B + 0.5).astype(np.int64)
    number_B: Ids = np.minimum(np.maximum(rounded_B, 1), num_candidates_B)
    return number_B


def ordered_keys(uniforms: Uniforms) -> Ids:
    """Uniforms as integers with the place in the last axis in the low bits.

    No two of a row are equal, and integers sort several times faster than indices do.
    """
    length = uniforms.shape[-1]
    bits = length.bit_length()
    keys: Ids = (uniforms * 2.0 ** (62 - bits)).astype(np.int64) << bits | np.arange(length)
    return keys


def choose_positions(
    input_ids_BL: Ids, *, special_ids: Sequence[int], share: float, uniforms_BL: Uniforms
) -> Ids:
    """Positions in the flattened rows, ascending: of each row those with the smallest uniforms.

    Exactly round(share * tokens that are not special) per row, half rounded up, at least 1 where there
    is any, as the official codes of BERT and ELECTRA do (they draw no coin per token).
    """
    candidate_BL = ~np.isin(input_ids_BL, special_ids)
    num_chosen_B = number_to_choose(candidate_BL.sum(1), share)
    keys_BL = ordered_keys(uniforms_BL)
    keys_BL[~candidate_BL] = np.iinfo(np.int64).max
    sorted_BL = np.sort(keys_BL, axis=1)
    largest_B = np.take_along_axis(sorted_BL, np.maximum(num_chosen_B - 1, 0)[:, None], axis=1)
    return np.flatnonzero((keys_BL <= largest_B) & (num_chosen_B > 0)[:, None])
