"""Which tokens are hidden and what stands in their place: BERT, arXiv 1810.04805, section 3.1.

What is chosen (tokens, words) is a unit's business: single_tokens.py, whole_words.py.

Shapes: B rows, L positions, N chosen positions of all rows, R tokens of text in the vocabulary.
"""

from typing import Annotated, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from torch import Tensor

from seedbed.config import Strict, UserError
from seedbed.data.randomness import uniform_at
from seedbed.fidelity import Deviation
from seedbed.objectives.single_tokens import Ids, SingleTokensConfig, Uniforms, choose_positions
from seedbed.objectives.whole_words import WholeWordsConfig

__all__ = ["Masker", "Masking", "Unit", "choose_positions", "corrupt"]

Unit = Annotated[SingleTokensConfig | WholeWordsConfig, Field(discriminator="name")]


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
    def begins_word(self) -> npt.NDArray[np.bool_]: ...


class Masking(Strict):
    """The share of positions predicted, and of these the shares written as [MASK], random, unchanged."""

    share: float = Field(gt=0, lt=1, description="of the tokens that are not special")
    mask: float = Field(ge=0, le=1)
    random: float = Field(ge=0, le=1)
    keep: float = Field(ge=0, le=1)
    unit: Unit = Field(
        default_factory=lambda: SingleTokensConfig(name="single_tokens"), description="what is chosen as one"
    )

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
    """Rows to a batch, each row's corruption a function of (seed, number of its draw).

    The batch holds input_ids (B, L), masked_index (N: positions in the flattened rows, ascending),
    labels (N: the tokens that stood there), sampling_uniform (N) if asked for, and attention_mask
    (B, L) where the rows hold padding.
    """

    def __init__(self, masking: Masking, vocabulary: Vocabulary, *, sampling: bool) -> None:
        self.masking = masking
        self.sampling = sampling
        self.pad_id, self.mask_id = vocabulary.pad_id, vocabulary.mask_id
        if self.mask_id == self.pad_id:
            raise UserError(
                "the tokenizer has no mask token of its own, which this objective hides tokens with; take "
                "objective causal_lm, or a tokenizer of an encoder"
            )
        self.choose = masking.unit.prepare(vocabulary, share=masking.share)
        self.text_ids = np.setdiff1d(np.arange(vocabulary.size), vocabulary.special_ids)
        if not self.text_ids.size:
            raise UserError(
                f"tokenizer: all {vocabulary.size} tokens are special; train it on text, with more tokens"
            )

    def __call__(self, rows_BL: Ids, draws: int | Ids, seed: int) -> dict[str, Tensor]:
        """`draws` has a number for each row; one number stands for itself and its successors."""
        rows_BL = np.asarray(rows_BL, np.int64)
        B, L = rows_BL.shape
        draws_B = np.arange(draws, draws + B) if isinstance(draws, int) else draws

        def draw(stream: str) -> Uniforms:
            return uniform_at(seed, f"masking/{stream}", draws_B, L)

        chosen_N = self.choose(rows_BL, uniforms_BL=draw("position"))
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


DEVIATIONS = (
    Deviation(
        system="BERT",
        theirs="15 % of all positions of a row, [CLS] and [SEP] counted in, at most max_predictions_per_seq.",
        ours="15 % of the tokens of text of a row, rounded half up, at least one; no other bound.",
        why="The paper speaks of tokens. The difference is under 2 % of the predictions at 128 positions.",
        source="google-research/bert create_pretraining_data.py",
    ),
    Deviation(
        system="BERT",
        theirs="A random token is any of the vocabulary, [PAD] and the unused ones too.",
        ours="A random token is one of text.",
        why="Special tokens have a place of their own in a row; fairseq draws none either.",
        source="google-research/bert create_pretraining_data.py; fairseq mask_tokens_dataset.py",
    ),
    Deviation(
        system="BERT",
        theirs="[UNK] may be masked and predicted.",
        ours="[UNK] is a special token: never chosen, never drawn.",
        why="To predict that something was unknown teaches nothing about the text.",
        source="google-research/bert create_pretraining_data.py",
    ),
    Deviation(
        system="RoBERTa",
        theirs="The number of masked tokens of a row is rounded up or down by chance, and <s> and </s> may "
        "be among them.",
        ours="Exactly round(share * tokens of text) of a row, never a special token.",
        why="The same in the mean, without noise, and the same code as for BERT and ELECTRA.",
        source="fairseq mask_tokens_dataset.py",
    ),
    Deviation(
        system="ELECTRA",
        theirs="Positions are drawn with replacement: some are drawn twice, so fewer than 15 % are masked "
        "and a few count twice in the generator's loss; [UNK] may be among them.",
        ours="Exactly round(share * tokens of text) different positions of a row.",
        why="What the paper says (section 2); the official code's drawing is a by-product of its TPU code. "
        "At 128 positions it leaves about 7 % fewer positions masked.",
        source="arXiv 2003.10555, section 2; google-research/electra pretrain/pretrain_helpers.py",
    ),
)
