"""Packed rows: each real position once, no text cut, and little room lost at the lengths of real sentences."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from seedbed.data.arrangements import PackedConfig, PaddedConfig, pack

LENGTHS = {
    "one": [5],
    "equal": [4, 4, 4, 4],
    "fit": [7, 1, 3, 4, 2, 5, 6],
    "long and short": [40] + [3] * 31,
}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_every_position_stands_once_and_texts_stay_whole(lengths: list[int]) -> None:
    length = max(lengths) + 2  # texts may begin further apart than the longest is long
    packed_RP = pack(np.array(lengths), length)
    assert packed_RP.shape[1] == max(lengths)
    wanted = [text * length + place for text, count in enumerate(lengths) for place in range(count)]
    assert sorted(packed_RP[packed_RP >= 0].tolist()) == wanted
    for row in packed_RP.tolist():
        filled = [place for place in row if place >= 0]
        assert row == filled + [-1] * (len(row) - len(filled)), "what is empty comes last"
        for before, after in pairwise(filled):
            same = before // length == after // length
            assert after == before + 1 if same else after % length == 0


def test_little_room_is_lost() -> None:
    """Batches of 32 with the lengths of sentences: as few rows as their tokens need, and one more at most."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        lengths_B = np.clip(generator.gamma(3.0, 13.3, 32), 6, 128).astype(np.int64)
        packed_RP = pack(lengths_B, 128)
        assert len(packed_RP) <= -(-lengths_B.sum() // lengths_B.max()) + 1


def test_an_arrangement_leaves_the_batch_as_it_is() -> None:
    mask_BL = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    batch = {"input_ids": torch.arange(16).view(4, 4), "attention_mask": mask_BL, "labels": torch.arange(4)}
    assert PaddedConfig(name="padded").arrange(batch) is batch
    packed = PackedConfig(name="packed").arrange(batch)
    assert packed.pop("packed").tolist() == [[0, 1, 2, 3], [4, 5, 8, 12]]
    assert packed == batch
