"""Rows that do not cross documents: DOC-SENTENCES of RoBERTa (arXiv 1907.11692, section 4.2).

Shapes: B rows, L = max_length positions.
"""

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seedbed.config import Strict, UserError
from seedbed.data.documents import DocumentChunks, lay_out
from seedbed.data.packing import SpecialIds
from seedbed.data.shards import TokenStore
from seedbed.fidelity import Deviation

Ids = npt.NDArray[np.int64]


class DocSentencesConfig(Strict):
    """Rows [CLS] content [SEP] of one document each, the last of a document padded."""

    name: Literal["doc_sentences"]

    gives: ClassVar[frozenset[str]] = frozenset()

    def build(self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds) -> "DocSentences":
        return DocSentences(store, max_length=max_length, vocabulary=vocabulary)


class DocSentences:
    """The rows of all documents, numbered through; every token of text stands in exactly one."""

    def __init__(self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds) -> None:
        if max_length < 3:
            raise UserError(
                f"max_length: {max_length} leaves no room between [CLS] and [SEP]; take 3 or more"
            )
        self._store, self._max_length, self._vocabulary = store, max_length, vocabulary
        self._chunks = DocumentChunks(store, size=max_length - 2)
        self.num_rows = self._chunks.num_chunks
        self.num_dropped_tokens = self._chunks.num_dropped_tokens
        self.num_padding = self.num_rows * (max_length - 2) - self._chunks.num_tokens
        if not self.num_rows:
            raise UserError(f"{store.folder / store.split}: no document has a token; give more text")

    def rows(self, numbers_B: Ids, draws_B: Ids, seed: int) -> dict[str, Ids]:
        _, starts_B, stops_B = self._chunks.locate(numbers_B)
        rows_BL, _ = lay_out(
            self._store, [(starts_B, stops_B)], max_length=self._max_length, vocabulary=self._vocabulary
        )
        return {"input_ids": rows_BL}


DEVIATIONS = (
    Deviation(
        system="RoBERTa",
        theirs="DOC-SENTENCES raises the number of rows of a batch where rows are short, to keep its tokens.",
        ours="A batch has global_batch_size rows, so it has fewer tokens than with full_sentences. The run "
        "logs tokens/padding_share; dividing global_batch_size by one minus it restores the mean.",
        why="Step s presents rows [s*B, (s+1)*B), which is what makes a run continue exactly on other "
        "devices; the loss is a mean over tokens, so short rows weigh what they hold.",
        source="arXiv 1907.11692, section 4.2",
    ),
    Deviation(
        system="RoBERTa",
        theirs="Rows hold whole sentences.",
        ours="Rows of a document are cut where they are full; only its last row is shorter.",
        why="The token store knows where documents end, not sentences.",
        source="arXiv 1907.11692, section 4.2",
    ),
)
