"""Pairs of segments for next-sentence prediction: BERT (arXiv 1810.04805, section 3.1 and appendix A.2).

Rows [CLS] A [SEP] B [SEP]: B follows A in its document, or comes from another document. Shapes: B rows,
L = max_length positions.
"""

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.data.documents import SegmentRows
from seedbed.data.packing import SpecialIds
from seedbed.data.randomness import derive_seed, presented, shuffled, uniform_at
from seedbed.data.shards import TokenStore
from seedbed.fidelity import Deviation

Ids = npt.NDArray[np.int64]


class SegmentPairsConfig(Strict):
    """Rows with token types and a label: 0 when B follows A, 1 when it is of another document."""

    name: Literal["segment_pairs"]
    random_share: float = Field(0.5, ge=0, le=1, description="rows whose B is of another document")
    short_share: float = Field(
        0.1, ge=0, lt=1, description="rows of a length drawn between 2 tokens and the most (short_seq_prob)"
    )

    gives: ClassVar[frozenset[str]] = frozenset({"token_type_ids", "next_sentence_labels"})

    def build(self, store: TokenStore, *, max_length: int, vocabulary: SpecialIds) -> "SegmentPairs":
        return SegmentPairs(self, store, max_length=max_length, vocabulary=vocabulary)


class SegmentPairs(SegmentRows):
    """A row for each stretch of L - 3 tokens of a document, cut in two at a drawn place.

    Each row has a partner, half an epoch away in an order of its own, cut at the same share of its
    length. With `random_share` the two exchange their second parts; partners of one document never
    do. So whatever is drawn, an epoch presents every token once (but for what short rows leave out),
    and B is of another document as often as asked.
    """

    def __init__(
        self, config: SegmentPairsConfig, store: TokenStore, *, max_length: int, vocabulary: SpecialIds
    ) -> None:
        super().__init__(store, max_length=max_length, vocabulary=vocabulary, smallest=2)
        self._config = config
        if self._chunks.num_documents < 2:
            raise UserError(
                f"{store.folder / store.split}: {self._chunks.num_documents} documents of two tokens or "
                "more, but segment_pairs takes segments from another document; give it two or more"
            )

    def rows(self, numbers_B: Ids, draws_B: Ids, seed: int) -> dict[str, Ids]:
        epochs_B = draws_B // self.num_rows
        partners_B = self._partners(numbers_B, epochs_B, seed)
        # one draw for both of a pair
        pairs_B = epochs_B * self.num_rows + np.minimum(numbers_B, partners_B)
        coin_B, cut_B, short_B, length_B = uniform_at(seed, "segment pairs", pairs_B, 4).T
        own, other = self._chunks.locate(numbers_B), self._chunks.locate(partners_B)
        drawn_B = 2 + (length_B * (self._size - 1)).astype(np.int64)
        most_B = np.where(short_B < self._config.short_share, drawn_B, self._size)
        own_stops_B = np.minimum(own.stops_B, own.starts_B + most_B)
        other_stops_B = np.minimum(other.stops_B, other.starts_B + most_B)
        cuts_B = _cut(own.starts_B, own_stops_B, cut_B)
        exchanged_B = (coin_B < self._config.random_share) & (own.documents_B != other.documents_B)
        second_starts_B = np.where(exchanged_B, _cut(other.starts_B, other_stops_B, cut_B), cuts_B)
        second_stops_B = np.where(exchanged_B, other_stops_B, own_stops_B)
        rows_BL, types_BL = self._lay_out((own.starts_B, cuts_B), (second_starts_B, second_stops_B))
        return {
            "input_ids": rows_BL,
            "token_type_ids": types_BL,
            "next_sentence_labels": exchanged_B.astype(np.int64),
        }

    def _partners(self, numbers_B: Ids, epochs_B: Ids, seed: int) -> Ids:
        """The partner of each row in an epoch; of an odd number of rows one is its own."""
        order_seed = derive_seed(seed, "partners")
        half = self.num_rows // 2
        places_B = presented(numbers_B, epochs_B, self.num_rows, order_seed) - epochs_B * self.num_rows
        facing_B = np.where(places_B < half, places_B + half, places_B - half)
        facing_B = np.where(places_B == 2 * half, places_B, facing_B)
        return shuffled(epochs_B * self.num_rows + facing_B, self.num_rows, order_seed)


def _cut(starts_B: Ids, stops_B: Ids, uniforms_B: npt.NDArray[np.float64]) -> Ids:
    """A place inside each stretch that leaves both parts a token.

    Parts of two stretches cut by one uniform fit together into the longer of the two.
    """
    return starts_B + 1 + (uniforms_B * (stops_B - starts_B - 1)).astype(np.int64)


DEVIATIONS = (
    Deviation(
        system="BERT",
        theirs="Segments are whole sentences: the code warns that a cut at any token makes the prediction "
        "of the next sentence too easy.",
        ours="Documents are cut where rows are full, and a row in two at a token drawn uniformly.",
        why="The token store knows where documents end, not sentences. Expect next-sentence accuracy "
        "above what the published model has, and less to learn from it.",
        source="arXiv 1810.04805, appendix A.2; google-research/bert create_pretraining_data.py",
    ),
    Deviation(
        system="BERT",
        theirs="B of another document begins at a random sentence of a random document, and what was to "
        "follow A is put back for the next row.",
        ours="Two rows of different documents exchange their second parts, so documents are drawn in "
        "proportion to their length, and B ends where a row would.",
        why="Every row is a function of its number alone, and an epoch still presents every token once.",
        source="google-research/bert create_pretraining_data.py",
    ),
    Deviation(
        system="BERT",
        theirs="More than half of the pairs are random: a stretch of a single sentence always gets one.",
        ours="random_share of the pairs, less those whose partner is of the same document.",
        why="The paper says 50 %.",
        source="arXiv 1810.04805, section 3.1; google-research/bert create_pretraining_data.py",
    ),
    Deviation(
        system="BERT",
        theirs="One in ten documents is cut into shorter rows (short_seq_prob).",
        ours="One in ten rows is shorter, and leaves out the rest of its stretch in this presentation.",
        why="Rows keep their numbers, whatever is drawn.",
        source="google-research/bert create_pretraining_data.py",
    ),
)
