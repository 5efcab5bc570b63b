"""Micro-batches: every presentation exactly once, in the right step, on any number of ranks and workers."""

import numpy as np
import pytest
import torch
from torch import Tensor

from seedbed.data.presentations import steps


class Numbers:
    """Presents its own numbers."""

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        return {"number": torch.arange(first, first + count)}

    def names(self, first: int, count: int) -> list[str]:
        return [str(number) for number in range(first, first + count)]


def served(world_size: int, micro: int, *, first_step: int = 0, workers: int = 0) -> np.ndarray:
    """Numbers as (step, accumulation, rank, place)."""
    ranks = [
        [
            batch["number"].numpy()
            for step in steps(
                Numbers(),
                first_step=first_step,
                max_steps=5,
                global_batch_size=16,
                micro_batch_size=micro,
                rank=rank,
                world_size=world_size,
                workers=workers,
                pin_memory=False,
            )
            for batch in step
        ]
        for rank in range(world_size)
    ]
    return (
        np.array(ranks)
        .reshape(world_size, 5 - first_step, 16 // (world_size * micro), micro)
        .transpose(1, 2, 0, 3)
    )


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("micro", [1, 2, 4])
def test_exactly_once_in_order(world_size: int, micro: int) -> None:
    assert np.array_equal(served(world_size, micro).ravel(), np.arange(80))


def test_resuming_skips_nothing() -> None:
    assert np.array_equal(served(2, 4, first_step=3).ravel(), np.arange(48, 80))
    assert served(1, 4, first_step=5).size == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int) -> None:
    assert np.array_equal(served(1, 4, workers=workers), served(1, 4))


def test_the_global_generator_stays_put() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    served(1, 4)
    assert torch.equal(before, torch.get_rng_state())


def test_indivisible() -> None:
    with pytest.raises(AssertionError):
        served(3, 4)
