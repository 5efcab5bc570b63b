"""Words spelled as UTF-8 bytes: what a character CNN reads, of any word of any script.

ELMo (Peters et al. 2018, arXiv 1802.05365) in the numbering of its released code (allenai/bilm-tf
bilm/data.py), raised by one for NOTHING. Shapes: N words, C characters of a word.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tokenizers

NOTHING = 0
"""In place of a position without a word."""
FIRST_BYTE = 1
END_OF_TEXT, BEGIN_WORD, END_WORD, FILLER = 258, 259, 260, 261
"""After the bytes, 1 to 256; 257 is the begin of a sentence there and not used here."""


def spell(word: str | None, *, max_characters: int) -> list[int]:
    """C = `max_characters` numbers: begin, bytes, end, filler; None is the mark between texts.

    A word of more bytes than fit is cut, as published, even inside of a character.
    """
    if word is None:
        spelled = [END_OF_TEXT]
    else:
        spelled = [FIRST_BYTE + byte for byte in word.encode("utf-8", "replace")[: max_characters - 2]]
    spelled = [BEGIN_WORD, *spelled, END_WORD]
    return spelled + [FILLER] * (max_characters - len(spelled))


def spell_all(words: Sequence[str | None], *, max_characters: int) -> "npt.NDArray[np.int16]":
    """characters_NC."""
    import numpy as np

    spelled_NC = np.empty((len(words), max_characters), dtype=np.int16)
    for row, word in zip(spelled_NC, words, strict=True):
        row[:] = spell(word, max_characters=max_characters)
    return spelled_NC


def read_words(
    tokenizer: "tokenizers.Tokenizer",
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    max_length: int,
) -> list[list[str | None]]:
    """The words of each text or pair as they are written, unknown ones too, and None for each mark.

    Cut and marked as `encode_texts` does it, so that positions agree with its ids.
    """
    # normalised first: offsets into a text that composing shortens miss the end of its words
    sides = [[_normalised(tokenizer, text) for text in side] for side in (texts, pairs or ())]
    inputs = sides[0] if pairs is None else list(zip(*sides, strict=True))
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    try:
        encodings = tokenizer.encode_batch(inputs)
    finally:
        tokenizer.no_truncation()
    return [
        [
            None if side is None else sides[side][number][start:stop]
            for side, (start, stop) in zip(encoding.sequence_ids, encoding.offsets, strict=True)
        ]
        for number, encoding in enumerate(encodings)
    ]


def _normalised(tokenizer: "tokenizers.Tokenizer", text: str) -> str:
    return text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
