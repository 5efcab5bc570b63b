"""A panel in pieces of whole series: what is made of it point by point need never be there at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seedbed.corpora import TestSplit
from seedbed.forecasting.panels.series import SeriesSet
from seedbed.forecasting.panels.splits import Panel

PIECE_POINTS = 1 << 20
"""Most points before the test part in a piece, or one series."""
FILLED_POINTS = 1 << 22
"""Most points of a piece if all its series were as long as its longest, as metrics have them in one array."""


@dataclass(frozen=True)
class Piece:
    """Some series of one frequency, before the test part and in it."""

    history: SeriesSet
    test: SeriesSet


def in_pieces(series: SeriesSet) -> Iterator[tuple[slice, SeriesSet]]:
    """The numbers of some series and a copy of them, in memory; one piece of few is the set itself."""
    first = 0
    while first < len(series):
        reach = series.offsets[first] + PIECE_POINTS
        last = max(first + 1, int(np.searchsorted(series.offsets, reach, side="right")) - 1)
        last = min(last, len(series))
        own = series.lengths[first:last]
        filled = np.maximum.accumulate(own) * np.arange(1, len(own) + 1)
        last = first + max(1, int(np.searchsorted(filled, FILLED_POINTS, side="right")))
        whole = (first, last) == (0, len(series))
        yield slice(first, last), series if whole else series.part(slice(first, last))
        first = last


def tested(panel: Panel, key: TestSplit) -> Iterator[Piece]:
    """The pieces of all frequencies, in the order of the configuration."""
    for history, test in zip(panel.sets("history"), panel.test_sets(key), strict=True):
        for numbers, piece in in_pieces(history):
            yield Piece(piece, test if len(piece) == len(test) else test.part(numbers))
