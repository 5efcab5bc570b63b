"""Stretches of single documents, and rows laid out from them: what layouts within documents share.

Shapes: B rows, L = max_length positions, D documents.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seedbed.config import UserError
from seedbed.data.packing import SpecialIds
from seedbed.data.shards import TokenStore

Ids = npt.NDArray[np.int64]


class Stretches(NamedTuple):
    """Stream tokens [starts, stops) of one document each."""

    documents_B: Ids
    starts_B: Ids
    stops_B: Ids


class DocumentChunks:
    """Documents cut into chunks of `size` tokens, the last of each shorter; chunks are numbered through.

    A rest shorter than `smallest` is left out. Holds two numbers for each document, none for each chunk:
    at 1e9 tokens in documents of 500, 32 MB.
    """

    def __init__(self, store: TokenStore, *, size: int, smallest: int = 1) -> None:
        assert 1 <= smallest <= size
        self._size = size
        self._ends_D = np.concatenate([np.zeros(0, np.int64), *store.document_ends()])
        # a document's separator is no part of it
        lengths_D = np.diff(self._ends_D, prepend=0) - 1
        chunks_D = np.maximum(-((smallest - 1 - lengths_D) // size), 0)
        up_to_D = np.cumsum(chunks_D)
        self._first_D = up_to_D - chunks_D
        self.num_documents = int(np.count_nonzero(chunks_D))
        self.num_chunks = int(chunks_D.sum())
        self.num_tokens = int(np.minimum(chunks_D * size, lengths_D).sum())
        self.num_dropped_tokens = int(lengths_D.sum()) - self.num_tokens

    def locate(self, numbers_B: Ids) -> Stretches:
        """Where the chunks of these numbers stand."""
        # of documents with the same first chunk all but the last have none
        documents_B = np.searchsorted(self._first_D, numbers_B, side="right") - 1
        starts_B = np.where(documents_B > 0, self._ends_D[documents_B - 1], 0)
        starts_B = starts_B + (numbers_B - self._first_D[documents_B]) * self._size
        stops_B = np.minimum(starts_B + self._size, self._ends_D[documents_B] - 1)
        return Stretches(documents_B, starts_B, stops_B)


class SegmentRows:
    """What rows [CLS] A [SEP] B [SEP] share: one for each chunk of L - 3 tokens of a document."""

    def __init__(
        self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds, smallest: int = 1
    ) -> None:
        if max_length < 5:
            raise UserError(
                f"max_length: {max_length} leaves no room for two segments between [CLS], [SEP] and [SEP]; "
                "take 5 or more"
            )
        self._store, self._max_length, self._vocabulary = store, max_length, vocabulary
        self._size = max_length - 3
        self._chunks = DocumentChunks(store, size=self._size, smallest=smallest)
        self.num_rows = self._chunks.num_chunks
        self.num_dropped_tokens = self._chunks.num_dropped_tokens
        self.num_padding = self.num_rows * self._size - self._chunks.num_tokens

    def _lay_out(self, *segments: tuple[Ids, Ids]) -> tuple[Ids, Ids]:
        return lay_out(self._store, segments, max_length=self._max_length, vocabulary=self._vocabulary)


def lay_out(
    store: TokenStore,
    segments: Sequence[tuple[Ids, Ids]],
    *,
    max_length: int,
    vocabulary: SpecialIds,
) -> tuple[Ids, Ids]:
    """rows_BL [CLS] segment [SEP] segment [SEP] [PAD] ..., and the segment's number at each position.

    A segment is (starts_B, stops_B); an empty one is left out with its [SEP].
    """
    rows_BL = np.full((len(segments[0][0]), max_length), vocabulary.pad_id, dtype=np.int64)
    types_BL = np.zeros_like(rows_BL)
    rows_BL[:, 0] = vocabulary.cls_id
    ends_B = np.ones(len(rows_BL), np.int64)
    for number, (starts_B, stops_B) in enumerate(segments):
        stretches = zip(starts_B.tolist(), stops_B.tolist(), ends_B.tolist(), strict=True)
        for row, (start, stop, end) in enumerate(stretches):
            if stop > start:
                last = end + stop - start
                rows_BL[row, end:last] = store.read(start, stop)
                rows_BL[row, last] = vocabulary.sep_id
                types_BL[row, end : last + 1] = number
                ends_B[row] = last + 1
    return rows_BL, types_BL
