"""Choosing whole words to predict: the note of May 2019 in BERT's repository (google-research/bert).

A word is what the tokenizer says begins one, up to the next: WordPiece's pieces of a word between blanks
and punctuation, byte-level BPE's tokens up to the next blank. In Korean that is an eojeol, a noun together
with its particles. Shapes: B rows, L positions, W words of a row, N chosen positions of all rows.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.fidelity import Deviation
from seedbed.objectives.single_tokens import (
    Choose,
    Ids,
    Uniforms,
    Vocabulary,
    number_to_choose,
    ordered_keys,
)


class WholeWordsConfig(Strict):
    """All tokens of a word are chosen or none; as many tokens as single_tokens chooses, or a few fewer."""

    name: Literal["whole_words"]
    longest: int = Field(
        10, ge=1, description="tokens of a word; a longer one (text without blanks) counts as several"
    )

    def prepare(self, vocabulary: Vocabulary, *, share: float) -> Choose:
        begins_word_V = vocabulary.begins_word()
        if not begins_word_V.size:
            raise UserError(
                "tokenizer: it does not say where words begin (neither WordPiece nor byte-level BPE); "
                "take unit single_tokens"
            )
        return partial(
            choose_words,
            special_ids=vocabulary.special_ids,
            begins_word_V=begins_word_V,
            longest=self.longest,
            share=share,
        )


def choose_words(
    input_ids_BL: Ids,
    *,
    special_ids: Sequence[int],
    begins_word_V: npt.NDArray[np.bool_],
    longest: int,
    share: float,
    uniforms_BL: Uniforms,
) -> Ids:
    """Positions in the flattened rows, ascending: the words of the smallest uniforms, as long as they fit.

    As in the official code a word that would exceed the number to choose is passed over, and later ones
    fill the rest.
    """
    B, L = input_ids_BL.shape
    candidate_BL = ~np.isin(input_ids_BL, special_ids)
    starts_BL = candidate_BL & word_starts(input_ids_BL, candidate_BL, begins_word_V, longest=longest)
    # A word is known by its first position; W is L, words that are not there have size 0.
    word_BL = np.maximum.accumulate(np.where(starts_BL, np.arange(L), 0), axis=1)
    flat_word_BL = word_BL + np.arange(B)[:, None] * L
    sizes_BW = np.bincount(flat_word_BL[candidate_BL], minlength=B * L).reshape(B, L)
    keys_BW = ordered_keys(uniforms_BL)
    keys_BW[~starts_BL] = np.iinfo(np.int64).max
    order_BW = np.argsort(keys_BW, axis=1)
    taken_BW = take_while_they_fit(
        np.take_along_axis(sizes_BW, order_BW, axis=1), number_to_choose(candidate_BL.sum(1), share)
    )
    chosen_BW = np.zeros((B, L), bool)
    np.put_along_axis(chosen_BW, order_BW, taken_BW, axis=1)
    return np.flatnonzero(chosen_BW.ravel()[flat_word_BL.ravel()] & candidate_BL.ravel())


def word_starts(
    input_ids_BL: Ids,
    candidate_BL: npt.NDArray[np.bool_],
    begins_word_V: npt.NDArray[np.bool_],
    *,
    longest: int,
) -> npt.NDArray[np.bool_]:
    """Where words begin; the first token after a special one does, cut off from its word as it may be."""
    L = input_ids_BL.shape[1]
    starts_BL: npt.NDArray[np.bool_] = begins_word_V[input_ids_BL]
    starts_BL[:, 0] = True
    starts_BL[:, 1:] |= ~candidate_BL[:, :-1]
    places_L = np.arange(L)
    since_BL = places_L - np.maximum.accumulate(np.where(starts_BL, places_L, 0), axis=1)
    starts_BL |= since_BL % longest == 0
    return starts_BL


def take_while_they_fit(sizes_BW: Ids, room_B: Ids) -> npt.NDArray[np.bool_]:
    """Which words are taken when they come in order, each if it still fits.

    Equal to going through them one by one: what is taken in one round is the longest beginning that
    fits, and the word behind it is larger than the room that is left, for good.
    """
    taken_BW = np.zeros(sizes_BW.shape, bool)
    waiting_BW = sizes_BW > 0
    room_B = room_B.copy()
    while True:
        waiting_BW &= sizes_BW <= room_B[:, None]
        if not waiting_BW.any():
            return taken_BW
        up_to_BW = np.cumsum(np.where(waiting_BW, sizes_BW, 0), axis=1)
        fits_BW = waiting_BW & (up_to_BW <= room_B[:, None])
        taken_BW |= fits_BW
        waiting_BW &= ~fits_BW
        room_B -= np.where(fits_BW, sizes_BW, 0).sum(1)


DEVIATIONS = (
    Deviation(
        system="BERT",
        theirs="A word longer than the number of predictions is never masked.",
        ours="A word of more than `longest` tokens (10) counts as several words.",
        why="Chinese and Japanese under byte-level BPE are one word from blank to blank and would never be "
        "masked. BERT's own vocabulary has few such words.",
        source="google-research/bert create_pretraining_data.py",
    ),
    Deviation(
        system="BERT",
        theirs="Whole words were masked in WordPiece alone; a word cut by the row's edge is cut there too.",
        ours="The same for WordPiece; for byte-level BPE a word begins with the blank before it, so "
        "punctuation goes with the word it touches. Korean words are eojeols, not morphemes.",
        why="It is what the tokenizer can say, and as fairseq's mask_whole_words has it.",
        source="google-research/bert README.md; fairseq mask_tokens_dataset.py",
    ),
)
