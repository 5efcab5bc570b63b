"""Which tokens are hidden and what stands in their place: BERT, arXiv 1810.04805, section 3.1.

Shapes: B rows, L positions, N chosen positions of all rows, R tokens of text in the vocabulary.
"""

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from torch import Tensor

from seedbed.config import Strict, UserError
from seedbed.data.randomness import uniform

Ids = npt.NDArray[np.int64]
Uniforms = npt.NDArray[np.float64]


class Vocabulary(Protocol):
    """The part of a tokenizer's vocabulary that masking reads."""

    @property
    def size(self) -> int: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def mask_id(self) -> int: ...
    @property
    def special_ids(self) -> tuple[int, ...]: ...


class Masking(Strict):
    """The share of positions predicted, and of these the shares written as [MASK], random, unchanged."""

    share: float = Field(gt=0, lt=1, description="of the tokens that are not special")
    mask: float = Field(ge=0, le=1)
    random: float = Field(ge=0, le=1)
    keep: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        total = self.mask + self.random + self.keep
        if abs(total - 1) > 1e-9:
            raise ValueError(f"mask + random + keep is {total:g}, must be 1")
        return self

    def prepare(self, vocabulary: Vocabulary, *, sampling: bool = False) -> "Masker":
        """What turns rows into batches; `sampling` adds one uniform per chosen position."""
        return Masker(self, vocabulary, sampling=sampling)


class Masker:
    """Rows to a batch, each row's corruption a function of (seed, number of its presentation).

    The batch holds input_ids (B, L), masked_index (N: positions in the flattened rows, ascending),
    labels (N: the tokens that stood there), sampling_uniform (N) if asked for, and attention_mask
    (B, L) where the rows hold padding.
    """

    def __init__(self, masking: Masking, vocabulary: Vocabulary, *, sampling: bool) -> None:
        self.masking = masking
        self.sampling = sampling
        self.pad_id, self.mask_id = vocabulary.pad_id, vocabulary.mask_id
        self.special_ids = vocabulary.special_ids
        self.text_ids = np.setdiff1d(np.arange(vocabulary.size), vocabulary.special_ids)
        if not self.text_ids.size:
            raise UserError(
                f"tokenizer: all {vocabulary.size} tokens are special; train it on text, with more tokens"
            )

    def __call__(self, rows_BL: Ids, first_presentation: int, seed: int) -> dict[str, Tensor]:
        rows_BL = np.asarray(rows_BL, np.int64)
        B, L = rows_BL.shape

        def draw(stream: str) -> Uniforms:
            return uniform(seed, f"masking/{stream}", first_presentation, B, L)

        chosen_N = choose_positions(
            rows_BL, special_ids=self.special_ids, share=self.masking.share, uniforms_BL=draw("position")
        )
        corrupted_BL = corrupt(
            rows_BL,
            chosen_N,
            masking=self.masking,
            mask_id=self.mask_id,
            text_ids_R=self.text_ids,
            action_uniforms_N=draw("action").ravel()[chosen_N],
            token_uniforms_N=draw("token").ravel()[chosen_N],
        )
        batch = {
            "input_ids": torch.from_numpy(corrupted_BL),
            "masked_index": torch.from_numpy(chosen_N),
            "labels": torch.from_numpy(rows_BL.ravel()[chosen_N]),
        }
        if self.sampling:
            batch["sampling_uniform"] = torch.from_numpy(draw("sampling").ravel()[chosen_N])
        if (rows_BL == self.pad_id).any():
            batch["attention_mask"] = torch.from_numpy((rows_BL != self.pad_id).astype(np.int64))
        return batch


def choose_positions(
    input_ids_BL: Ids, *, special_ids: Sequence[int], share: float, uniforms_BL: Uniforms
) -> Ids:
    """Positions in the flattened rows, ascending: of each row those with the smallest uniforms.

    Exactly round(share * tokens that are not special) per row, half rounded up, at least 1 where there
    is any, as the official codes of BERT and ELECTRA do (they draw no coin per token).
    """
    length = input_ids_BL.shape[1]
    candidate_BL = ~np.isin(input_ids_BL, special_ids)
    num_candidates_B = candidate_BL.sum(1)
    num_chosen_B = np.minimum(
        np.maximum(np.floor(share * num_candidates_B + 0.5).astype(np.int64), 1), num_candidates_B
    )
    # Uniforms as integers with the position in the low bits: no two of a row are equal, and integers
    # sort several times faster than indices do.
    bits = length.bit_length()
    keys_BL = (uniforms_BL * 2.0 ** (62 - bits)).astype(np.int64) << bits | np.arange(length)
    keys_BL[~candidate_BL] = np.iinfo(np.int64).max
    sorted_BL = np.sort(keys_BL, axis=1)
    largest_B = np.take_along_axis(sorted_BL, np.maximum(num_chosen_B - 1, 0)[:, None], axis=1)
    return np.flatnonzero((keys_BL <= largest_B) & (num_chosen_B > 0)[:, None])


def corrupt(
    input_ids_BL: Ids,
    chosen_N: Ids,
    *,
    masking: Masking,
    mask_id: int,
    text_ids_R: Ids,
    action_uniforms_N: Uniforms,
    token_uniforms_N: Uniforms,
) -> Ids:
    """A copy of the rows with each chosen token written as [MASK], a random token of text, or kept."""
    corrupted_BL = input_ids_BL.copy()
    flat = corrupted_BL.reshape(-1)
    masked_N = action_uniforms_N < masking.mask
    random_N = ~masked_N & (action_uniforms_N < masking.mask + masking.random)
    flat[chosen_N[masked_N]] = mask_id
    drawn_N = text_ids_R[(token_uniforms_N[random_N] * len(text_ids_R)).astype(np.int64)]
    flat[chosen_N[random_N]] = drawn_N
    return corrupted_BL
