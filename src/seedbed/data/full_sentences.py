"""Full rows without padding: FULL-SENTENCES of RoBERTa (arXiv 1907.11692, section 4.2).

Shapes: B rows, L = max_length positions.
"""

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seedbed.config import Strict, UserError
from seedbed.data.packing import SpecialIds
from seedbed.data.shards import TokenStore
from seedbed.fidelity import Deviation

Ids = npt.NDArray[np.int64]


class FullSentencesConfig(Strict):
    """Rows [CLS] content [SEP]; content runs on across documents, with a separator after each."""

    name: Literal["full_sentences"]

    gives: ClassVar[frozenset[str]] = frozenset()

    def build(self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds) -> "FullSentences":
        return FullSentences(store, max_length=max_length, vocabulary=vocabulary)


class FullSentences:
    """Row i holds stream tokens [i*(L-2), (i+1)*(L-2)); the stream has a separator after every document.

    The tail that fills no row is left out: `num_dropped_tokens`.
    """

    def __init__(self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds) -> None:
        if max_length < 3:
            raise UserError(
                f"max_length: {max_length} leaves no room between [CLS] and [SEP]; take 3 or more"
            )
        self._store, self._max_length, self._vocabulary = store, max_length, vocabulary
        self.num_rows, self.num_dropped_tokens = divmod(store.num_tokens, max_length - 2)
        self.num_padding = 0
        if not self.num_rows:
            raise UserError(
                f"{store.folder / store.split}: {store.num_tokens} tokens do not fill one row of max_length "
                f"{max_length}; give more text, another split of it, or a smaller max_length"
            )

    def rows(self, numbers_B: Ids, draws_B: Ids, seed: int) -> dict[str, Ids]:
        content = self._max_length - 2
        rows_BL = np.empty((len(numbers_B), self._max_length), dtype=np.int64)
        rows_BL[:, 0] = self._vocabulary.cls_id
        rows_BL[:, -1] = self._vocabulary.sep_id
        for row_L, number in zip(rows_BL, numbers_B.tolist(), strict=True):
            row_L[1:-1] = self._store.read(number * content, (number + 1) * content)
        return {"input_ids": rows_BL}


DEVIATIONS = (
    Deviation(
        system="RoBERTa",
        theirs="FULL-SENTENCES packs whole sentences, so a row ends before the sentence that would not fit.",
        ours="Rows of exactly max_length tokens, cut where they are full.",
        why="The token store knows where documents end, not sentences; no position is wasted on padding. "
        "fairseq's plain blocks (sample_break_mode none) are cut alike.",
        source="arXiv 1907.11692, section 4.2; fairseq examples/roberta/config/pretraining/base.yaml",
    ),
    Deviation(
        system="ELECTRA",
        theirs="The official code makes rows of one document, in two segments, padded at its end.",
        ours="rows full_sentences unless the recipe says two_segments: rows run on across documents.",
        why="Without padding every position is trained on; in RoBERTa's table 2 rows of one document are "
        "slightly ahead. The recipes electra_*-as_official_code take two_segments.",
        source="google-research/electra build_pretraining_dataset.py",
    ),
)
