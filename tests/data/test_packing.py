"""Packed rows: content, order, the dropped tail, validation order."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from seedbed.config import UserError
from seedbed.data.packing import PackedRows
from seedbed.data.presentations import steps
from seedbed.data.randomness import uniform
from seedbed.data.shards import TokenStore
from tests.data.tokens import documents_of, stream_of, write

VOCABULARY = SimpleNamespace(cls_id=2, sep_id=3)


def prepare(rows_BL: np.ndarray, first: int, seed: int) -> dict[str, Tensor]:
    noise_BL = uniform(seed, "mask", first, len(rows_BL), rows_BL.shape[1])
    return {"input_ids": torch.from_numpy(rows_BL), "noise": torch.from_numpy(noise_BL)}


def packed(folder: Path, max_length: int = 12, seed: int = 0) -> PackedRows:
    store = TokenStore.open(folder, "train")
    return PackedRows(store, max_length=max_length, vocabulary=VOCABULARY, seed=seed, prepare=prepare)


def test_rows_hold_the_stream(tmp_path: Path) -> None:
    documents = documents_of(30)
    stream = np.array(stream_of(documents))
    data = packed(write(tmp_path, documents, per_shard=33))
    assert data.num_rows == len(stream) // 10 and data.num_dropped_tokens == len(stream) % 10
    rows = data.rows(np.arange(data.num_rows))
    assert (rows[:, 0] == 2).all() and (rows[:, -1] == 3).all() and rows.dtype == np.int64
    assert np.array_equal(rows[:, 1:-1].ravel(), stream[: data.num_rows * 10])


def test_each_epoch_serves_every_row_once(tmp_path: Path) -> None:
    data = packed(write(tmp_path, documents_of(30)))
    rows = data.rows(np.arange(data.num_rows))
    epochs = [data.batch(epoch * data.num_rows, data.num_rows)["input_ids"].numpy() for epoch in range(3)]
    for epoch in epochs:
        assert sorted(map(tuple, epoch)) == sorted(map(tuple, rows))
    assert not np.array_equal(epochs[0], epochs[1]) and not np.array_equal(epochs[0], rows)


def test_a_presentation_depends_on_its_number_alone(tmp_path: Path) -> None:
    data = packed(write(tmp_path, documents_of(30)))
    together = data.batch(30, 40)
    apart = [data.batch(number, 1) for number in range(30, 70)]
    for key in together:
        assert torch.equal(together[key], torch.cat([one[key] for one in apart]))
    other = packed(tmp_path, seed=1).batch(30, 40)
    assert not torch.equal(other["input_ids"], together["input_ids"])
    assert not torch.equal(other["noise"], together["noise"])


def test_workers_and_ranks(tmp_path: Path) -> None:
    data = packed(write(tmp_path, documents_of(30)))
    for world_size, workers in ((1, 0), (1, 2), (2, 0)):
        loaders = [
            steps(
                data, first_step=2, max_steps=4, global_batch_size=8, micro_batch_size=4, rank=rank,
                world_size=world_size, workers=workers,
            )
            for rank in range(world_size)
        ]  # fmt: skip
        rows = [
            batch["noise"]
            for ranks in zip(*loaders, strict=True)
            for micro in zip(*ranks, strict=True)
            for batch in micro
        ]
        assert torch.equal(torch.cat(rows), data.batch(16, 16)["noise"])


def test_validation_is_in_order_and_repeats(tmp_path: Path) -> None:
    data = packed(write(tmp_path, documents_of(30)))
    once = list(data.batches(4))
    assert torch.equal(
        torch.cat([batch["input_ids"] for batch in once]),
        torch.from_numpy(data.rows(np.arange(data.num_rows))),
    )
    noise = torch.cat([batch["noise"] for batch in once])
    assert torch.equal(noise, torch.cat([batch["noise"] for batch in data.batches(7)]))
    assert sum(len(batch["noise"]) for batch in data.batches(4, max_rows=6)) == 6
    assert not torch.equal(noise[:4], data.batch(0, 4)["noise"])


def test_too_short(tmp_path: Path) -> None:
    folder = write(tmp_path, [[5, 6, 7]])
    with pytest.raises(UserError, match="4 tokens do not fill one row of max_length 12"):
        packed(folder)
    with pytest.raises(UserError, match="max_length: 2"):
        packed(folder, max_length=2)
    assert packed(folder, max_length=6).num_rows == 1
