"""Rows of a stream: every token is predicted once, from all that stands before it in its row."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
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


def whole(data: StreamRows) -> np.ndarray:
    """The rows of validation."""
    return np.concatenate([batch["rows"].numpy() for batch in data.batches(4)])


def test_validation_predicts_every_token_but_the_first_once(tmp_path: Path) -> None:
    documents = documents_of(30)
    stream = np.array(stream_of(documents))
    data = rows_of(write(tmp_path, documents, per_shard=33))
    rows = whole(data)
    assert rows.shape == (data.num_rows, 13) and rows.dtype == np.int64
    assert np.array_equal(rows[:, 1:].ravel(), stream[1 : 1 + 12 * data.num_rows])
    assert np.array_equal(rows[1:, 0], rows[:-1, -1])
    assert 1 + 12 * data.num_rows + data.num_dropped_tokens == len(stream)
    assert 0 <= data.num_dropped_tokens < 12
    assert (rows != VOCABULARY.cls_id).all(), "no marks but the separators"
    assert (stream == SEPARATOR).sum() == 30
    assert np.array_equal(whole(data), rows)
    assert sum(len(batch["rows"]) for batch in data.batches(4, max_rows=6)) == 6


def test_each_epoch_predicts_almost_every_token_once_from_a_new_cut(tmp_path: Path) -> None:
    documents = documents_of(30)
    stream = np.array(stream_of(documents))
    data = rows_of(write(tmp_path, documents, per_shard=33))
    ring = np.concatenate([stream, stream])
    cuts = set()
    for epoch in range(5):
        starts = data.starts(epoch * data.num_rows, data.num_rows)
        rows = data.batch(epoch * data.num_rows, data.num_rows)["rows"].numpy()
        for row, start in zip(rows, starts.tolist(), strict=True):
            assert np.array_equal(row, ring[start : start + 13])
        predicted = (starts[:, None] + np.arange(1, 13)) % len(stream)
        assert len(np.unique(predicted)) == 12 * data.num_rows, "none twice"
        cuts.add(int(starts.min() % 12))
        assert not np.array_equal(np.sort(starts), starts), "shuffled"
    assert len(cuts) > 1


def test_cuts_are_anywhere(tmp_path: Path) -> None:
    """Over many epochs of one row each place of the ring begins it about as often."""
    data = rows_of(write(tmp_path, [list(range(5, 14))]), max_length=9)
    assert data.num_rows == 1
    counts = np.bincount(data.starts(0, 5000), minlength=10)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_a_presentation_depends_on_its_number_alone(tmp_path: Path) -> None:
    data = rows_of(write(tmp_path, documents_of(30)))
    together = data.batch(30, 90)["rows"]
    apart = torch.cat([data.batch(number, 1)["rows"] for number in range(30, 120)])
    assert torch.equal(together, apart)
    assert not torch.equal(rows_of(tmp_path, seed=1).batch(30, 90)["rows"], together)
    names = data.names(30, 90)
    assert names[0] == f"12 tokens from {data.starts(30, 1)[0]}" and len(names) == 90


@pytest.mark.parametrize(("length", "num_rows"), [(3, 1), (2, 1), (1, 3)])
def test_the_smallest_that_fits(tmp_path: Path, length: int, num_rows: int) -> None:
    data = rows_of(write(tmp_path, [[5, 6, 7]]), max_length=length)
    assert data.num_rows == num_rows


def test_too_short(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="4 tokens do not fill one row of max_length 4 and the token after it"
    ):
        rows_of(write(tmp_path, [[5, 6, 7]]), max_length=4)
