"""Training data as a pure function of presentation numbers, cut into each rank's share of each step.

A presentation is a position in the endless training order. Step s of global batch B consumes
presentations [s*B, (s+1)*B), whatever the number of ranks, accumulation steps or loader workers.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


class Presentations(Protocol):
    """Anything that can say what is presented when."""

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        """Presentations [first, first + count) as one batch, a function of these numbers alone."""
        ...

    def names(self, first: int, count: int) -> list[str]:
        """What a person would call the examples of `batch(first, count)`."""
        ...


class Steps(Dataset[list[dict[str, Tensor]]]):
    """One rank's micro-batches of each step, from `first_step` to the end, in order."""

    def __init__(
        self,
        data: Presentations,
        *,
        first_step: int,
        max_steps: int,
        global_batch_size: int,
        micro_batch_size: int,
        rank: int,
        world_size: int,
    ) -> None:
        assert 0 <= rank < world_size and 0 <= first_step <= max_steps
        self._data = data
        self._first_step, self._max_steps = first_step, max_steps
        self._global_batch_size, self._micro_batch_size = global_batch_size, micro_batch_size
        self._rank, self._world_size = rank, world_size
        self._accumulation, rest = divmod(global_batch_size, micro_batch_size * world_size)
        assert rest == 0, "the micro-batch size is derived from the global batch size"

    def __len__(self) -> int:
        return self._max_steps - self._first_step

    def __getitem__(self, number: int) -> list[dict[str, Tensor]]:
        if not 0 <= number < len(self):
            raise IndexError(number)
        first = (self._first_step + number) * self._global_batch_size
        return [
            self._data.batch(
                first + (accumulated * self._world_size + self._rank) * self._micro_batch_size,
                self._micro_batch_size,
            )
            for accumulated in range(self._accumulation)
        ]


def steps(
    data: Presentations,
    *,
    first_step: int,
    max_steps: int,
    global_batch_size: int,
    micro_batch_size: int,
    rank: int,
    world_size: int,
    workers: int,
    pin_memory: bool,
) -> DataLoader[list[dict[str, Tensor]]]:
    """A loader of `Steps`: micro-batch a of step s on rank r holds presentations [s*B + (a*W + r)*b, +b)."""
    dataset = Steps(
        data,
        first_step=first_step,
        max_steps=max_steps,
        global_batch_size=global_batch_size,
        micro_batch_size=micro_batch_size,
        rank=rank,
        world_size=world_size,
    )
    return DataLoader(
        dataset,
        batch_size=None,
        shuffle=False,
        num_workers=workers,
        pin_memory=pin_memory,
        # a loader draws its workers' seeds; from its own generator, so that the global one stays put
        generator=torch.Generator().manual_seed(0),
    )
