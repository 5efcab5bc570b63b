"""Rows of a stream: every token is predicted once, from all that stands before it in its row."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from seedbed.config import UserError
from seedbed.data.masks import DynamicConfig
from seedbed.data.packing import Ids, PackedRows
from seedbed.data.shards import TokenStore
from seedbed.data.stream import Stream, StreamConfig
from tests.data.tokens import SEPARATOR, documents_of, stream_of, write

VOCABULARY = SimpleNamespace(pad_id=0, cls_id=2, sep_id=SEPARATOR)
SEED = 5


def prepare(rows_BL: Ids, draws: int | Ids, seed: int) -> dict[str, Tensor]:
    return {"input_ids": torch.from_numpy(rows_BL)}


def layout(folder: Path, max_length: int = 12) -> Stream:
    store = TokenStore.open(folder, "train")
    return StreamConfig(name="stream").build(store, max_length=max_length, vocabulary=VOCABULARY)


def epoch(rows: Stream, number: int) -> tuple[Ids, Ids]:
    """All rows of an epoch, and their draws."""
    numbers = np.arange(rows.num_rows)
    return numbers, number * rows.num_rows + numbers


def packed(folder: Path, seed: int = 0) -> PackedRows:
    return PackedRows(layout(folder), masks=DynamicConfig(name="dynamic"), seed=seed, prepare=prepare)


def test_each_epoch_predicts_almost_every_token_once_from_a_new_cut(tmp_path: Path) -> None:
    documents = documents_of(30)
    stream = np.array(stream_of(documents))
    rows = layout(write(tmp_path, documents, per_shard=33))
    assert 1 + 12 * rows.num_rows + rows.num_dropped_tokens == len(stream)
    assert 0 <= rows.num_dropped_tokens < 12 and rows.num_padding == 0
    ring = np.concatenate([stream, stream])
    cuts = set()
    for number in range(5):
        chosen = epoch(rows, number)
        starts, found = rows.starts(*chosen, SEED), rows.rows(*chosen, SEED)
        for read, label, start in zip(found["input_ids"], found["labels"], starts.tolist(), strict=True):
            assert np.array_equal(read, ring[start : start + 12])
            assert np.array_equal(label, ring[start + 1 : start + 13])
        predicted = (starts[:, None] + np.arange(1, 13)) % len(stream)
        assert len(np.unique(predicted)) == 12 * rows.num_rows, "none twice"
        cuts.add(int(starts[0]))
    assert len(cuts) > 1


def test_cuts_are_anywhere(tmp_path: Path) -> None:
    """Over many epochs of one row each place of the ring begins it about as often."""
    rows = layout(write(tmp_path, [list(range(5, 14))]), max_length=9)
    assert rows.num_rows == 1
    epochs = np.arange(5000)
    counts = np.bincount(rows.starts(np.zeros_like(epochs), epochs, SEED), minlength=10)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_a_presentation_depends_on_its_number_alone(tmp_path: Path) -> None:
    data = packed(write(tmp_path, documents_of(30)))
    together = data.batch(30, 90)
    apart = [data.batch(number, 1) for number in range(30, 120)]
    for name in ("input_ids", "labels"):
        assert torch.equal(together[name], torch.cat([one[name] for one in apart]))
    assert not torch.equal(packed(tmp_path, seed=1).batch(30, 90)["input_ids"], together["input_ids"])


def test_validation_is_the_same_at_every_call(tmp_path: Path) -> None:
    data = packed(write(tmp_path, documents_of(30)))
    once, again = ([batch["labels"] for batch in data.batches(size)] for size in (4, 7))
    assert torch.equal(torch.cat(once), torch.cat(again))
    assert sum(len(batch["labels"]) for batch in data.batches(4, max_rows=6)) == 6


@pytest.mark.parametrize(("length", "num_rows"), [(3, 1), (2, 1), (1, 3)])
def test_the_smallest_that_fits(tmp_path: Path, length: int, num_rows: int) -> None:
    rows = layout(write(tmp_path, [[5, 6, 7]]), max_length=length)
    assert rows.num_rows == num_rows
    assert rows.rows(*epoch(rows, 3), SEED)["input_ids"].shape == (num_rows, length)


def test_too_short(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="4 tokens do not fill one row of max_length 4 and the token after it"
    ):
        layout(write(tmp_path, [[5, 6, 7]]), max_length=4)
