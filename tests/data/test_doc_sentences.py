"""DOC-SENTENCES: every token of text once an epoch, no row of two documents, padding counted."""

from collections import Counter
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seedbed.config import UserError
from seedbed.data import DocSentencesConfig, DynamicConfig
from seedbed.data.doc_sentences import DocSentences
from seedbed.data.packing import PackedRows
from seedbed.data.shards import TokenStore
from tests.data.tokens import documents_of, write

VOCABULARY = SimpleNamespace(pad_id=0, cls_id=2, sep_id=3)


def layout(folder: Path, max_length: int = 12) -> DocSentences:
    store = TokenStore.open(folder, "train")
    return DocSentencesConfig(name="doc_sentences").build(store, max_length=max_length, vocabulary=VOCABULARY)


def numbered(count: int) -> list[list[int]]:
    """Documents whose tokens are all different: 1000 * document + place."""
    return [[1000 * (n + 1) + k for k in range(len(d))] for n, d in enumerate(documents_of(count))]


def test_every_token_stands_in_one_row_and_no_row_has_two_documents(tmp_path: Path) -> None:
    documents = numbered(50)
    data = layout(write(tmp_path, documents, per_shard=33, vocab_size=60_000))
    presented = PackedRows(
        data,
        masks=DynamicConfig(name="dynamic"),
        seed=3,
        prepare=lambda rows_BL, draws_B, seed: {"input_ids": torch.from_numpy(rows_BL)},
    )
    for epoch in range(2):
        rows = presented.batch(epoch * data.num_rows, data.num_rows)["input_ids"].numpy()
        text = rows[rows > 3]
        assert Counter(text.tolist()) == Counter(chain.from_iterable(documents))
        for row in rows:
            content = row[row > 3]
            assert row.tolist() == [2, *content, 3, *[0] * (10 - len(content))]
            assert len(set(content // 1000)) == 1 and (np.diff(content) == 1).all()
        assert (rows == 0).sum() == data.num_padding
    assert data.num_dropped_tokens == 0
    assert data.num_rows == sum(-(-len(document) // 10) for document in documents)


def test_only_the_last_row_of_a_document_is_shorter(tmp_path: Path) -> None:
    data = layout(write(tmp_path, [[5] * 25, [6] * 10, [7]]))
    rows = data.rows(np.arange(data.num_rows), np.arange(data.num_rows), 0)["input_ids"]
    assert (rows > 3).sum(1).tolist() == [10, 10, 5, 10, 1]


def test_too_short(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no document has a token"):
        layout(write(tmp_path, [[], []]))
    with pytest.raises(UserError, match="max_length: 2"):
        layout(tmp_path, max_length=2)
