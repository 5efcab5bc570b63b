"""What the processes of one run tell each other beside gradients; with one process nothing is sent."""

from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


def is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def position() -> tuple[int, int]:
    """This process's rank and the number of processes, once they are connected; before that one is alone."""
    return (dist.get_rank(), dist.get_world_size()) if is_distributed() else (0, 1)


def gather(value: T) -> list[T]:
    """The values of all processes, by rank; every process must call."""
    if not is_distributed():
        return [value]
    values: list[T | None] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


class Agreement:
    """Yes or no, alike in all processes, asked at every step.

    The question travels between the hosts' processors: an answer over NCCL would make each host wait for
    its device.
    """

    def __init__(self) -> None:
        self._group = (
            dist.new_group(backend="gloo") if is_distributed() and dist.get_backend() != "gloo" else None
        )

    def any(self, *answers: bool) -> list[bool]:
        """For each question whether any process says yes."""
        if not is_distributed():
            return list(answers)
        votes = torch.tensor(answers, dtype=torch.int32)
        dist.all_reduce(votes, op=dist.ReduceOp.MAX, group=self._group)
        return [bool(vote) for vote in votes.tolist()]


def leave_process_group() -> None:
    """Call once at the end of a process: leaving it to the exit aborts now and then."""
    if is_distributed():
        dist.destroy_process_group()
