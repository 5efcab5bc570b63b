"""Long texts, and questions with long paragraphs, cut into windows that overlap; the best answers in them.

BERT (arXiv 1810.04805, section 4.2) and its code: a window begins `doc_stride` tokens after the one before;
an answer counts in the window where its first token has the most context. Shapes: L positions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seedbed.tasks.encoded import EncodedRows, Labels

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Floats = npt.NDArray[np.float64]
NOWHERE = -1
CONTEXT = 1
"""The tokenizer's number of a pair's second part."""


@dataclass(frozen=True, slots=True)
class Window:
    """One row: which question's, where the paragraph's tokens stand, and what they are of it."""

    question: int
    first: int
    """Position of the window's first token of the paragraph."""
    offsets: tuple[tuple[int, int], ...]
    """Characters of the paragraph that each of its tokens here stands for."""
    best: npt.NDArray[np.bool_]
    """Has this token more context here than in any other window?"""


@dataclass(frozen=True, kw_only=True)
class EncodedWindows(EncodedRows):
    """Windows with the positions where their answer starts and ends; (0, 0) where they hold none."""

    windows: list[Window]
    ends: npt.NDArray[np.int64]

    def labels_of(self, chosen: npt.NDArray[np.int64], length: int) -> Labels:
        del length
        return self.ends[chosen]


def cut_windows(
    tokenizer: "Tokenizer",
    question: str,
    context: str,
    *,
    max_length: int,
    doc_stride: int,
    max_question: int,
) -> "tuple[list[Encoding], bool]":
    """Each window as a pair with special tokens; and was the question, beyond `max_question` tokens, cut?"""
    asked = tokenizer.encode(question, add_special_tokens=False)
    cut = len(asked.ids) > max_question
    if cut:
        question = question[: asked.offsets[max_question - 1][1]]
        asked = tokenizer.encode(question, add_special_tokens=False)
    room = max_length - len(asked.ids) - tokenizer.num_special_tokens_to_add(is_pair=True)
    assert room > 0, "max_question leaves room: see the task's check"
    tokenizer.enable_truncation(max_length, stride=max(room - doc_stride, 0), strategy="only_second")
    try:
        encoding = tokenizer.encode(question, context)
    finally:
        tokenizer.no_truncation()
    return [encoding, *encoding.overflowing], cut


def windows_of(number: int, encodings: "list[Encoding]") -> list[Window]:
    """The windows of one question, each token's best one marked."""
    parts: list[tuple[int, list[tuple[int, int]]]] = []
    for encoding in encodings:
        places = [p for p, part in enumerate(encoding.sequence_ids) if part == CONTEXT]
        parts.append((places[0] if places else 0, [encoding.offsets[place] for place in places]))
    # A token is known by its characters and its turn among pieces of the same ones (bytes of a character).
    context: dict[tuple[tuple[int, int], int], tuple[float, int]] = {}
    keys = [list(_turns(offsets)) for _, offsets in parts]
    for window, of_window in enumerate(keys):
        size = len(of_window)
        for place, key in enumerate(of_window):
            score = min(place, size - 1 - place) + 0.01 * size
            if key not in context or score > context[key][0]:
                context[key] = score, window
    return [
        Window(
            number, first, tuple(offsets), np.array([context[key][1] == window for key in keys[window]], bool)
        )
        for window, (first, offsets) in enumerate(parts)
    ]


def _turns(offsets: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], int]]:
    turn, before = 0, None
    for offset in offsets:
        turn = turn + 1 if offset == before else 0
        before = offset
        yield offset, turn


def answer_positions(window: Window, start: int, end: int) -> tuple[int, int]:
    """Positions of the first and last token of characters [start, end); (0, 0) unless all are here."""
    inside = [place for place, (a, b) in enumerate(window.offsets) if a < end and b > start]
    if not inside:
        return 0, 0
    whole = window.offsets[inside[0]][0] <= start and window.offsets[inside[-1]][1] >= end
    return (window.first + inside[0], window.first + inside[-1]) if whole else (0, 0)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer by its characters in the paragraph, and the sum of its ends' logits."""

    score: float
    start: int
    end: int


def best_answers(window: Window, logits_L2: Floats, *, num_best: int, max_answer: int) -> list[Found]:
    """At most `num_best` answers of at most `max_answer` tokens, best first."""
    size = len(window.offsets)
    inside_T2 = logits_L2[window.first : window.first + size]
    starts = [int(i) for i in np.argsort(-inside_T2[:, 0], kind="stable") if window.best[i]][:num_best]
    ends = [int(i) for i in np.argsort(-inside_T2[:, 1], kind="stable")[:num_best]]
    found = [
        Found(float(inside_T2[a, 0] + inside_T2[b, 1]), window.offsets[a][0], window.offsets[b][1])
        for a in starts
        for b in ends
        if a <= b < a + max_answer
    ]
    return sorted(found, key=lambda one: (-one.score, one.start, one.end))[:num_best]


@dataclass(frozen=True, slots=True)
class TextWindow:
    """One row of a text."""

    ids: npt.NDArray[np.int64]
    type_ids: npt.NDArray[np.int64]
    pieces: npt.NDArray[np.int64]
    """The number in its text of the piece at each position; NOWHERE where it is special, or has more context
    in another window."""


def cut_texts(
    tokenizer: "Tokenizer", texts: Sequence[str], *, max_length: int, doc_stride: int
) -> list[tuple[list[tuple[int, int]], list[TextWindow]]]:
    """For each text the characters of its pieces, and its windows."""
    room = max_length - tokenizer.num_special_tokens_to_add(is_pair=False)
    tokenizer.enable_truncation(max_length, stride=max(room - doc_stride, 0))
    try:
        cut = tokenizer.encode_batch(list(texts))
    finally:
        tokenizer.no_truncation()
    found = []
    for text, encoding in zip(texts, cut, strict=True):
        # what one window holds is not always where a piece of the whole begins: the whole says it
        whole = tokenizer.encode(text) if encoding.overflowing else encoding
        places = [o for o, mark in zip(whole.offsets, whole.special_tokens_mask, strict=True) if not mark]
        found.append((places, _text_windows([encoding, *encoding.overflowing], len(places))))
    return found


def _text_windows(encodings: "list[Encoding]", count: int) -> list[TextWindow]:
    """Each of the `count` pieces answered for where it is furthest from an end, first of equals."""
    inside = [np.flatnonzero(np.array(one.special_tokens_mask) == 0) for one in encodings]
    # the windows are one step apart, and the last one ends where the text does
    step, rest = divmod(count - len(inside[-1]), max(len(encodings) - 1, 1))
    assert rest == 0, (count, [len(places) for places in inside])
    context = np.full(count, -np.inf)
    owner = np.zeros(count, dtype=np.int64)
    numbers = []
    for window, places in enumerate(inside):
        place = np.arange(len(places))
        piece = window * step + place
        score = np.minimum(place, place[::-1]) + 0.01 * len(places)
        better = score > context[piece]
        context[piece[better]], owner[piece[better]] = score[better], window
        numbers.append(piece)
    rows = []
    for window, (encoding, places, piece) in enumerate(zip(encodings, inside, numbers, strict=True)):
        pieces = np.full(len(encoding.ids), NOWHERE, dtype=np.int64)
        mine = owner[piece] == window
        pieces[places[mine]] = piece[mine]
        ids, type_ids = (np.array(x, dtype=np.int64) for x in (encoding.ids, encoding.type_ids))
        rows.append(TextWindow(ids, type_ids, pieces))
    return rows
