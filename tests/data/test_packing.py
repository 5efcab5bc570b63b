"""Presentations of rows: every row once an epoch, each a function of its number, validation in order."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from seedbed.data import DynamicConfig, FullSentencesConfig, Masks, StaticConfig
from seedbed.data.packing import PackedRows
from seedbed.data.presentations import steps
from seedbed.data.randomness import uniform_at
from seedbed.data.shards import TokenStore
from tests.data.tokens import documents_of, stream_of, write

VOCABULARY = SimpleNamespace(pad_id=0, cls_id=2, sep_id=3)
DYNAMIC, STATIC = DynamicConfig(name="dynamic"), StaticConfig(name="static", num_duplicates=3)


def prepare(rows_BL: np.ndarray, draws_B: np.ndarray, seed: int) -> dict[str, Tensor]:
    noise_BL = uniform_at(seed, "mask", draws_B, rows_BL.shape[1])
    return {"input_ids": torch.from_numpy(rows_BL), "noise": torch.from_numpy(noise_BL)}


def packed(folder: Path, max_length: int = 12, seed: int = 0, masks: Masks = DYNAMIC) -> PackedRows:
    store = TokenStore.open(folder, "train")
    layout = FullSentencesConfig(name="full_sentences").build(
        store, max_length=max_length, vocabulary=VOCABULARY
    )
    return PackedRows(layout, masks=masks, seed=seed, prepare=prepare)


def in_order(data: PackedRows) -> np.ndarray:
    return torch.cat([batch["input_ids"] for batch in data.batches(1000)]).numpy()


def test_each_epoch_serves_every_row_once(tmp_path: Path) -> None:
    data = packed(write(tmp_path, documents_of(30)))
    rows = in_order(data)
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
                world_size=world_size, workers=workers, pin_memory=False,
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
    assert torch.equal(torch.cat([batch["input_ids"] for batch in once]), torch.from_numpy(in_order(data)))
    content = np.array(stream_of(documents_of(30)))[: data.num_rows * 10]
    assert np.array_equal(in_order(data)[:, 1:-1].ravel(), content)
    noise = torch.cat([batch["noise"] for batch in once])
    assert torch.equal(noise, torch.cat([batch["noise"] for batch in data.batches(7)]))
    assert sum(len(batch["noise"]) for batch in data.batches(4, max_rows=6)) == 6
    assert not torch.equal(noise[:4], data.batch(0, 4)["noise"])


def test_static_masks_come_back_after_the_last_duplicate(tmp_path: Path) -> None:
    """Of each row three versions: epochs 0, 3, 6 have the first, in other orders."""
    data = packed(write(tmp_path, documents_of(30)), masks=STATIC)
    seen: dict[tuple[int, ...], list[tuple[float, ...]]] = {}
    for epoch in range(7):
        batch = data.batch(epoch * data.num_rows, data.num_rows)
        for ids_L, noise_L in zip(batch["input_ids"].tolist(), batch["noise"].tolist(), strict=True):
            seen.setdefault(tuple(ids_L), []).append(tuple(noise_L))
    assert len(seen) == data.num_rows
    for versions in seen.values():
        assert versions[0] == versions[3] == versions[6]
        assert versions[1] == versions[4] and versions[2] == versions[5]
        assert len(set(versions)) == 3
    everything = [version for versions in seen.values() for version in set(versions)]
    assert len(set(everything)) == 3 * data.num_rows, "no two rows share a version"
    together = data.batch(5, 40)
    apart = [data.batch(number, 1)["noise"] for number in range(5, 45)]
    assert torch.equal(together["noise"], torch.cat(apart))


def test_dynamic_draws_are_the_presentations() -> None:
    numbers = np.array([3, 1, 2])
    assert DYNAMIC.draws(np.array([7, 8, 9]), numbers, 4).tolist() == [7, 8, 9]
    assert STATIC.draws(np.array([7, 8, 13]), numbers, 4).tolist() == [1 * 4 + 3, 2 * 4 + 1, 0 * 4 + 2]
