"""Two segments of one document in a row, with nothing to predict about them: ELECTRA's official code.

Shapes: B rows, L = max_length positions.
"""

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.data.documents import SegmentRows
from seedbed.data.packing import SpecialIds
from seedbed.data.randomness import uniform_at
from seedbed.data.shards import TokenStore
from seedbed.fidelity import Deviation

Ids = npt.NDArray[np.int64]


class TwoSegmentsConfig(Strict):
    """Rows [CLS] A [SEP] B [SEP] with token types; B follows A, both about half of the row."""

    name: Literal["two_segments"]
    single_share: float = Field(0.1, ge=0, le=1, description="rows of one segment, as classification has")
    short_share: float = Field(0.05, ge=0, lt=1, description="rows of a length drawn between 5 and the most")

    gives: ClassVar[frozenset[str]] = frozenset({"token_type_ids"})

    def build(self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds) -> "TwoSegments":
        return TwoSegments(self, store, max_length=max_length, vocabulary=vocabulary)


class TwoSegments(SegmentRows):
    """A row for each stretch of L - 3 tokens of a document; short rows leave out the rest of it this time."""

    def __init__(
        self, config: TwoSegmentsConfig, store: TokenStore, *, max_length: int, vocabulary: SpecialIds
    ) -> None:
        super().__init__(store, max_length=max_length, vocabulary=vocabulary)
        self._config = config
        if not self.num_rows:
            raise UserError(f"{store.folder / store.split}: no document has a token; give more text")

    def rows(self, numbers_B: Ids, draws_B: Ids, seed: int) -> dict[str, Ids]:
        single_B, short_B, length_B = uniform_at(seed, "two segments", draws_B, 3).T
        _, starts_B, stops_B = self._chunks.locate(numbers_B)
        least = min(5, self._size)
        drawn_B = least + (length_B * (self._size + 1 - least)).astype(np.int64)
        most_B = np.where(short_B < self._config.short_share, drawn_B, self._size)
        stops_B = np.minimum(stops_B, starts_B + most_B)
        cuts_B = np.where(single_B < self._config.single_share, stops_B, starts_B + self._size // 2)
        cuts_B = np.minimum(cuts_B, stops_B)
        rows_BL, types_BL = self._lay_out((starts_B, cuts_B), (cuts_B, stops_B))
        return {"input_ids": rows_BL, "token_type_ids": types_BL}


DEVIATIONS = (
    Deviation(
        system="ELECTRA",
        theirs="Segments are whole lines of the text; the line that crosses the middle falls on either side.",
        ours="Segments are cut at a token: the middle of a full row, the end of a full row.",
        why="The token store knows where documents end, not lines.",
        source="google-research/electra build_pretraining_dataset.py",
    ),
    Deviation(
        system="ELECTRA",
        theirs="Which rows have one segment, and which are short, is drawn once and written to disk.",
        ours="It is drawn at each presentation, unless masks is static; a short row leaves out the rest of "
        "its stretch in this presentation.",
        why="Rows keep their numbers, whatever is drawn.",
        source="google-research/electra build_pretraining_dataset.py",
    ),
)
