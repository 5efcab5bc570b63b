"""Filters: each keeps a document or says why not.

The repetition filter follows Gopher (Rae et al. 2021, arXiv 2112.11446, table A1): shares of
duplicate lines, of duplicate paragraphs and of the most frequent word n-gram. Two rules make it
right for short texts and for Korean. An n-gram counts only from its third use, since in a short
text any n-gram is a large share. And because Korean (like chat in any language) repeats *inside*
unspaced words, where word n-grams see nothing ("재밌다재밌다재밌다재밌다", "ㅋㅋㅋㅋㅋㅋ"), the share of
letters in immediate loops is measured too. Text must be NFC: in decomposed Hangul every syllable
counts two or three times.
"""

import re
from collections import Counter
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError

Reason = Literal[
    "empty",
    "too short",
    "too long",
    "duplicate lines",
    "duplicate paragraphs",
    "repeated n-gram",
    "looping letters",
    "duplicate document",
]
MIN_USES = 3
"""Uses from which an n-gram counts as repeated."""

# A piece of 1 to 8 word characters, then at least three more of it at once. The look-ahead (the first
# letter must come again soon) changes no answer and saves a third of the time.
_LOOP = re.compile(r"(?=(\w)\w{0,7}?\1)(\w{1,8}?)\2{3,}")
_PARAGRAPH_END = re.compile(r"\n\s*\n")


class LengthFilter(Strict):
    """Bounds in characters of the normalised text."""

    min_characters: int = Field(1, ge=1)
    max_characters: int = Field(1_000_000, ge=1)

    def check(self, text: str) -> Reason | None:
        """None keeps the text."""
        if not text:
            return "empty"
        if len(text) < self.min_characters:
            return "too short"
        return "too long" if len(text) > self.max_characters else None

    def validate_bounds(self, where: str) -> None:
        if self.min_characters > self.max_characters:
            raise UserError(
                f"{where}.length: min_characters {self.min_characters} is above "
                f"max_characters {self.max_characters}; swap or change them"
            )


class RepetitionFilter(Strict):
    """Largest allowed shares, of lines or of characters; 1.0 switches a test off."""

    duplicate_lines: float = Field(0.30, ge=0, le=1, description="share of lines seen before in the text")
    duplicate_paragraphs: float = Field(0.30, ge=0, le=1)
    top_2gram: float = Field(0.20, ge=0, le=1, description="share of characters in the top word 2-gram")
    top_3gram: float = Field(0.18, ge=0, le=1)
    top_4gram: float = Field(0.16, ge=0, le=1)
    looping_letters: float = Field(
        0.60,
        ge=0,
        le=1,
        description="share of characters in immediate loops; ㅋㅋㅋㅋ after a word is ordinary",
    )

    def check(self, text: str) -> Reason | None:
        """None keeps the text."""
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        if self.duplicate_lines < 1 and duplicate_share(lines) > self.duplicate_lines:
            return "duplicate lines"
        if self.duplicate_paragraphs < 1 and "\n\n" in text:
            paragraphs = [piece.strip() for piece in _PARAGRAPH_END.split(text) if piece.strip()]
            if duplicate_share(paragraphs) > self.duplicate_paragraphs:
                return "duplicate paragraphs"
        words = text.split()
        for n, limit in ((2, self.top_2gram), (3, self.top_3gram), (4, self.top_4gram)):
            if limit == 1:
                continue
            share = top_ngram_share(words, n)
            if share > limit:
                return "repeated n-gram"
            if share == 0:
                break  # no n words are used often enough, so no n + 1 words are
        if self.looping_letters < 1 and looping_share(text) > self.looping_letters:
            return "looping letters"
        return None


def duplicate_share(pieces: list[str]) -> float:
    """The share of pieces that repeat an earlier one."""
    return 1 - len(set(pieces)) / len(pieces) if pieces else 0.0


def top_ngram_share(words: list[str], n: int) -> float:
    """The share of characters (spaces apart) covered by the most frequent n-gram, each counted once
    where its uses overlap; 0 below `MIN_USES` uses. Of equally frequent n-grams the longest counts.
    """
    if len(words) < n + MIN_USES - 1:
        return 0.0
    grams = list(zip(*(words[start:] for start in range(n)), strict=False))
    counts = Counter(grams)
    uses = max(counts.values())
    if uses < MIN_USES:
        return 0.0
    # Ties: by length, then by the words themselves, so that the answer never depends on an order.
    top = max((gram for gram, count in counts.items() if count == uses), key=lambda g: (len("".join(g)), g))
    covered = free_from = position = 0
    for _ in range(uses):
        position = grams.index(top, position)
        covered += sum(map(len, words[max(position, free_from) : position + n]))
        position, free_from = position + 1, position + n
    return covered / sum(map(len, words))


def looping_share(text: str) -> float:
    """The share of characters (spaces apart) in loops: a piece of up to 8 letters, four times or more."""
    looping = sum(match.end() - match.start() for match in _LOOP.finditer(text))
    return looping / len("".join(text.split())) if looping else 0.0
