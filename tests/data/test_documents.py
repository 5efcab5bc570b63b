"""Chunks of documents against going through them one by one."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seedbed.data.documents import DocumentChunks, lay_out
from seedbed.data.shards import TokenStore
from tests.data.tokens import documents_of, write

VOCABULARY = SimpleNamespace(pad_id=0, cls_id=2, sep_id=3)


@pytest.mark.parametrize("size", [1, 3, 10, 29, 100])
@pytest.mark.parametrize("smallest", [1, 2])
@pytest.mark.parametrize("per_shard", [7, 64, 10**6])
def test_chunks_are_what_cutting_by_hand_gives(
    tmp_path: Path, size: int, smallest: int, per_shard: int
) -> None:
    smallest = min(smallest, size)
    documents = [[], *documents_of(60), [], [5], []]
    store = TokenStore.open(write(tmp_path, documents, per_shard=per_shard), "train")
    chunks = DocumentChunks(store, size=size, smallest=smallest)
    expected = [
        (number, document[start : start + size])
        for number, document in enumerate(documents)
        for start in range(0, len(document), size)
        if len(document[start : start + size]) >= smallest
    ]
    assert chunks.num_chunks == len(expected)
    assert chunks.num_documents == len({number for number, _ in expected})
    assert chunks.num_tokens == sum(len(part) for _, part in expected)
    assert chunks.num_dropped_tokens == sum(map(len, documents)) - chunks.num_tokens
    order = np.random.default_rng(0).permutation(len(expected))
    found = chunks.locate(order)
    for place, number in enumerate(order):
        assert found.documents_B[place] == expected[number][0]
        start, stop = int(found.starts_B[place]), int(found.stops_B[place])
        assert store.read(start, stop).tolist() == expected[number][1]


def test_no_document(tmp_path: Path) -> None:
    chunks = DocumentChunks(TokenStore.open(write(tmp_path, []), "train"), size=4)
    assert (chunks.num_chunks, chunks.num_documents, chunks.num_tokens) == (0, 0, 0)


def test_the_index_is_two_numbers_a_document(tmp_path: Path) -> None:
    """Nothing per token and nothing per chunk: documents of any length cost the same."""
    store = TokenStore.open(write(tmp_path, [[7] * 5000, [8] * 3]), "train")
    chunks = DocumentChunks(store, size=5)
    held = [value for value in vars(chunks).values() if isinstance(value, np.ndarray)]
    assert [len(array) for array in held] == [2, 2]


def test_rows_are_laid_out_with_their_segments(tmp_path: Path) -> None:
    store = TokenStore.open(write(tmp_path, [[10, 11, 12, 13], [20, 21, 22]]), "train")

    def at(*places: int) -> np.ndarray:
        return np.array(places)

    segments = [(at(0, 1, 0), at(2, 4, 4)), (at(2, 5, 7), at(4, 8, 7))]
    rows, types = lay_out(store, segments, max_length=10, vocabulary=VOCABULARY)
    assert rows.tolist() == [
        [2, 10, 11, 3, 12, 13, 3, 0, 0, 0],
        [2, 11, 12, 13, 3, 20, 21, 22, 3, 0],
        [2, 10, 11, 12, 13, 3, 0, 0, 0, 0],
    ]
    assert types.tolist() == [
        [0, 0, 0, 0, 1, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
