"""Rows of a stream: every token is predicted once, from all that stands before it in its row."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from seedbed.config import UserError
from seedbed.data.shards import TokenStore
from seedbed.data.stream_rows import StreamRows
from tests.data.tokens import SEPARATOR, documents_of, stream_of, write

VOCABULARY = SimpleNamespace(cls_id=2, sep_id=SEPARATOR)


def prepare(rows: np.ndarray, first: int, seed: int) -> dict[str, Tensor]:
    return {"rows": torch.from_numpy(rows)}


def rows_of(folder: Path, max_length: int = 12, seed: int = 0) -> StreamRows:
    store = TokenStore.open(folder, "train")
    return StreamRows(store, max_length=max_length, vocabulary=VOCABULARY, seed=seed, prepare=prepare)


def test_every_token_but_the_first_is_predicted_once(tmp_path: Path) -> None:
    documents = documents_of(30)
    stream = np.array(stream_of(documents))
    data = rows_of(write(tmp_path, documents, per_shard=33))
    rows = data.rows(np.arange(data.num_rows))
    assert rows.shape == (data.num_rows, 13) and rows.dtype == np.int64
    assert np.array_equal(rows[:, 1:].ravel(), stream[1 : 1 + 12 * data.num_rows])
    assert np.array_equal(rows[1:, 0], rows[:-1, -1])
    assert 1 + 12 * data.num_rows + data.num_dropped_tokens == len(stream)
    assert 0 <= data.num_dropped_tokens < 12
    assert (rows != VOCABULARY.cls_id).all(), "no marks but the separators"
    assert (stream == SEPARATOR).sum() == 30


def test_each_epoch_serves_every_row_once(tmp_path: Path) -> None:
    data = rows_of(write(tmp_path, documents_of(30)))
    rows = data.rows(np.arange(data.num_rows))
    epochs = [data.batch(epoch * data.num_rows, data.num_rows)["rows"].numpy() for epoch in range(3)]
    for epoch in epochs:
        assert sorted(map(tuple, epoch)) == sorted(map(tuple, rows))
    assert not np.array_equal(epochs[0], epochs[1])
    assert np.array_equal(np.concatenate([b["rows"].numpy() for b in data.batches(4)]), rows)


@pytest.mark.parametrize(("length", "num_rows"), [(3, 1), (2, 1), (1, 3)])
def test_the_smallest_that_fits(tmp_path: Path, length: int, num_rows: int) -> None:
    data = rows_of(write(tmp_path, [[5, 6, 7]]), max_length=length)
    assert data.num_rows == num_rows


def test_too_short(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="4 tokens do not fill one row of max_length 4 and the token after it"
    ):
        rows_of(write(tmp_path, [[5, 6, 7]]), max_length=4)
