"""Normalisation: one spelling per character and no characters that carry no text (Unicode UAX #15)."""

import re
import unicodedata
from typing import Literal

from seedbed.config import Strict

_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# Control characters but tab and newline, the byte-order mark, halves of surrogate pairs, noncharacters.
_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_TRAILING = re.compile("[ \t]+(?=\n|$)")
_EMPTY_LINES = re.compile("\n{3,}")


class Normalisation(Strict):
    """NFC joins Hangul jamo to syllables and changes no meaning; NFKC also folds width and ligatures."""

    form: Literal["NFC", "NFKC"] = "NFC"

    def apply(self, text: str) -> str:
        """Normalised text. Spaces inside lines stay, for indentation is content; applying it twice
        changes nothing more. The joiners of emoji and Indic scripts are kept.
        """
        # Line ends first: some of them are control characters.
        text = _LINE_ENDS.sub("\n", text)
        text = _NOT_TEXT.sub("", text)
        text = unicodedata.normalize(self.form, text)
        text = _TRAILING.sub("", text)
        return _EMPTY_LINES.sub("\n\n", text).strip()
