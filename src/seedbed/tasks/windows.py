"""Long texts, and questions with long paragraphs, cut into windows that overlap; the best answers in them.

BERT (arXiv 1810.04805, section 4.2) and its code: a window begins `doc_stride` tokens after the one before;
an answer counts in the window where its first token has the most context. Shapes: L positions.
"""

from collections.abc import Sequence
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


def owners(sizes: Sequence[int], *, step: int) -> list[npt.NDArray[np.bool_]]:
    """For windows of so many pieces that begin `step` apart: which have more context here than in any other?

    The first of equals; context is what stands between a piece and the nearer end of its window.
    """
    count = step * (len(sizes) - 1) + sizes[-1]
    most = np.full(count, -np.inf)
    owner = np.zeros(count, dtype=np.int64)
    here = [slice(window * step, window * step + size) for window, size in enumerate(sizes)]
    for window, size in enumerate(sizes):
        place = np.arange(size)
        context = np.minimum(place, place[::-1]) + 0.01 * size
        owner[here[window]][context > most[here[window]]] = window
        most[here[window]] = np.maximum(context, most[here[window]])
    return [owner[places] == window for window, places in enumerate(here)]


def cut_windows(
    tokenizer: "Tokenizer",
    question: str,
    context: str,
    *,
    number: int,
    max_length: int,
    doc_stride: int,
    max_question: int,
) -> "tuple[list[tuple[Encoding, Window]], bool]":
    """Each window of the question of this number, as a pair with special tokens.

    And was the question, beyond `max_question` tokens, cut?
    """
    asked = tokenizer.encode(question, add_special_tokens=False)
    cut = len(asked.ids) > max_question
    if cut:
        question = question[: asked.offsets[max_question - 1][1]]
        asked = tokenizer.encode(question, add_special_tokens=False)
    room = max_length - len(asked.ids) - tokenizer.num_special_tokens_to_add(is_pair=True)
    assert room > 0, "max_question leaves room: see the task's check"
    step = min(doc_stride, room)
    tokenizer.enable_truncation(max_length, stride=room - step, strategy="only_second")
    try:
        encoding = tokenizer.encode(question, context)
    finally:
        tokenizer.no_truncation()
    encodings = [encoding, *encoding.overflowing]
    inside = [[p for p, part in enumerate(one.sequence_ids) if part == CONTEXT] for one in encodings]
    found = []
    for one, places, best in zip(encodings, inside, owners([len(p) for p in inside], step=step), strict=True):
        offsets = tuple(one.offsets[place] for place in places)
        found.append((one, Window(number, places[0] if places else 0, offsets, best)))
    return found, cut


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
    step = min(doc_stride, room)
    tokenizer.enable_truncation(max_length, stride=room - step)
    try:
        cut = tokenizer.encode_batch(list(texts))
    finally:
        tokenizer.no_truncation()
    found = []
    for text, encoding in zip(texts, cut, strict=True):
        # what one window holds is not always where a piece of the whole begins: the whole says it
        whole = tokenizer.encode(text) if encoding.overflowing else encoding
        places = [o for o, mark in zip(whole.offsets, whole.special_tokens_mask, strict=True) if not mark]
        found.append((places, _text_windows([encoding, *encoding.overflowing], step=step)))
    return found


def _text_windows(encodings: "list[Encoding]", *, step: int) -> list[TextWindow]:
    inside = [np.flatnonzero(np.array(one.special_tokens_mask) == 0) for one in encodings]
    rows = []
    best = owners([len(places) for places in inside], step=step)
    for window, (encoding, places, mine) in enumerate(zip(encodings, inside, best, strict=True)):
        pieces = np.full(len(encoding.ids), NOWHERE, dtype=np.int64)
        pieces[places[mine]] = window * step + np.flatnonzero(mine)
        ids, type_ids = (np.array(x, dtype=np.int64) for x in (encoding.ids, encoding.type_ids))
        rows.append(TextWindow(ids, type_ids, pieces))
    return rows
