"""FULL-SENTENCES: the stream in rows, the tail that is left out."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seedbed.config import UserError
from seedbed.data import FullSentencesConfig
from seedbed.data.full_sentences import FullSentences
from seedbed.data.shards import TokenStore
from tests.data.tokens import documents_of, stream_of, write

VOCABULARY = SimpleNamespace(pad_id=0, cls_id=2, sep_id=3)


def layout(folder: Path, max_length: int = 12) -> FullSentences:
    store = TokenStore.open(folder, "train")
    return FullSentencesConfig(name="full_sentences").build(
        store, max_length=max_length, vocabulary=VOCABULARY
    )


def test_rows_hold_the_stream(tmp_path: Path) -> None:
    documents = documents_of(30)
    stream = np.array(stream_of(documents))
    data = layout(write(tmp_path, documents, per_shard=33))
    assert data.num_rows == len(stream) // 10 and data.num_dropped_tokens == len(stream) % 10
    assert data.num_padding == 0
    numbers = np.arange(data.num_rows)
    rows = data.rows(numbers, numbers, 0)["input_ids"]
    assert (rows[:, 0] == 2).all() and (rows[:, -1] == 3).all() and rows.dtype == np.int64
    assert np.array_equal(rows[:, 1:-1].ravel(), stream[: data.num_rows * 10])


def test_too_short(tmp_path: Path) -> None:
    folder = write(tmp_path, [[5, 6, 7]])
    with pytest.raises(UserError, match="4 tokens do not fill one row of max_length 12"):
        layout(folder)
    with pytest.raises(UserError, match="max_length: 2"):
        layout(folder, max_length=2)
    assert layout(folder, max_length=6).num_rows == 1
