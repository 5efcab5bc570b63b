"""Texts whose units (words or characters) bear tags, and the pieces of a tokenizer that stand for them.

Shapes: B rows, L positions, C tags, U units of a text, P its pieces, N texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seedbed.tasks.encoded import EncodedRows, Labels
from seedbed.tasks.examples import Floats, Labelled
from seedbed.tasks.text_learner import Outputs
from seedbed.tasks.windows import NOWHERE

IGNORED, OUTSIDE = -100, "O"


@dataclass(frozen=True, slots=True)
class TaggedExample(Labelled):
    """A text with its units (words or characters) by their places in it, and a tag for each."""

    text: str
    spans: tuple[tuple[int, int], ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EncodedTags(EncodedRows):
    """Windows of texts; a piece is answered for, and learned, in the window where it has most context."""

    tags: list[npt.NDArray[np.int64]]
    """Of each row's positions, IGNORED where a position bears none or another window answers for it."""
    pieces: list[npt.NDArray[np.int64]]
    """The number in its text of the piece at each position of a row, NOWHERE for special and others' ones."""
    texts: list[int]
    """The example that each row is of."""
    units: list[npt.NDArray[np.int64]]
    """For each example the number of the piece that begins each unit, NOWHERE where it has none."""

    def gathered(self, outputs: Sequence[Outputs]) -> list[Outputs]:
        """Outputs (pieces, C) of each example's pieces, of outputs (L, C) of each row's positions."""
        counts = np.zeros(len(self.units), dtype=np.int64)
        for text, piece_L in zip(self.texts, self.pieces, strict=True):
            counts[text] = max(counts[text], int(piece_L.max(initial=NOWHERE)) + 1)
        found = [np.zeros((int(count), outputs[0].shape[1])) for count in counts]
        for text, piece_L, output_LC in zip(self.texts, self.pieces, outputs, strict=True):
            places = np.flatnonzero(piece_L != NOWHERE)
            found[text][piece_L[places]] = output_LC[places]
        return found

    def labels_of(self, chosen: npt.NDArray[np.int64], length: int) -> Labels:
        labels_BL = np.full((len(chosen), length), IGNORED, dtype=np.int64)
        for row, number in enumerate(chosen):
            labels_BL[row, : len(self.tags[number])] = self.tags[number]
        return labels_BL


def softmax(logits_LC: Outputs) -> Outputs:
    exponents_LC = np.exp(logits_LC - logits_LC.max(axis=1, keepdims=True))
    return np.asarray(exponents_LC / exponents_LC.sum(axis=1, keepdims=True))


def positions_of(
    spans: Sequence[tuple[int, int]], places: Sequence[tuple[int, int]]
) -> npt.NDArray[np.int64]:
    """For each unit the first piece that shares its characters, of pieces by their characters."""
    found = np.full(len(spans), NOWHERE, dtype=np.int64)
    position = 0
    for unit, (start, end) in enumerate(spans):
        while position < len(places) and places[position][1] <= start:
            position += 1
        if position == len(places):
            break
        if places[position][0] < end:
            found[unit] = position
    return found


def tags_of_units(
    units_U: npt.NDArray[np.int64], predicted_P: npt.NDArray[np.int64], labels: Sequence[str]
) -> list[str]:
    """The tag of each unit's piece; a further unit of the same piece continues the entity."""
    tags, before = [], NOWHERE
    for position in units_U.tolist():
        tag = OUTSIDE if position == NOWHERE else labels[int(predicted_P[position])]
        tags.append(f"I-{tag[2:]}" if position == before != NOWHERE and tag != OUTSIDE else tag)
        before = position
    return tags


def unit_counts(
    actual: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, tags: Sequence[str]
) -> Floats:
    """Counts (N, tags, 3) of units: right, actual, predicted."""
    counts_NTK = np.zeros((len(actual), len(tags), 3))
    places = {tag: place for place, tag in enumerate(tags)}
    for row, (of_actual, of_predicted) in enumerate(zip(actual, predicted, strict=True)):
        for a, p in zip(of_actual, of_predicted, strict=True):
            for column, tag, counted in ((0, a, a == p), (1, a, True), (2, p, True)):
                if counted and tag in places:
                    counts_NTK[row, places[tag], column] += 1
    return counts_NTK
