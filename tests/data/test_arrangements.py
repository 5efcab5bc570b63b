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
    assert max(lengths) <= packed_RP.shape[1] <= max(lengths) * 9 / 8
    wanted = [text * length + place for text, count in enumerate(lengths) for place in range(count)]
    assert sorted(packed_RP[packed_RP >= 0].tolist()) == wanted
    for row in packed_RP.tolist():
        filled = [place for place in row if place >= 0]
        assert row == filled + [-1] * (len(row) - len(filled)), "what is empty comes last"
        for before, after in pairwise(filled):
            same = before // length == after // length
            assert after == before + 1 if same else after % length == 0


def test_little_room_is_lost() -> None:
    """Batches of 32 with the lengths of sentences, of which padding takes three fifths."""
    generator = np.random.default_rng(0)
    batches = [np.clip(generator.gamma(3.0, 13.3, 32), 6, 128).astype(np.int64) for _ in range(50)]
    tokens = sum(int(lengths_B.sum()) for lengths_B in batches)
    padded = sum(32 * int(lengths_B.max()) for lengths_B in batches)
    packed = sum(pack(lengths_B, 128).size for lengths_B in batches)
    assert packed < 1.04 * tokens and padded > 2.4 * tokens


def test_an_arrangement_leaves_the_batch_as_it_is() -> None:
    mask_BL = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    batch = {"input_ids": torch.arange(16).view(4, 4), "attention_mask": mask_BL, "labels": torch.arange(4)}
    assert PaddedConfig(name="padded").arrange(batch) is batch
    packed = PackedConfig(name="packed").arrange(batch)
    assert packed.pop("packed").tolist() == [[0, 1, 2, 3], [4, 5, 8, 12]]
    assert packed == batch
