"""Scoring without gradients: the one way validation, prediction and evaluation run a Learner."""

from collections.abc import Iterable
from typing import Literal

import torch
import torch.distributed as dist

from seedbed.learner import Accumulator, Batch, Learner

Precision = Literal["fp32", "bf16"]


def autocast(device: torch.device | str, precision: Precision) -> torch.autocast:
    """The autocast context of a recipe's precision."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bf16")


def predict_scores(learner: Learner, batches: Iterable[Batch], *, precision: Precision) -> Accumulator:
    """Score all batches in eval mode; with several processes each takes its share and sums are added."""
    distributed = dist.is_available() and dist.is_initialized()
    rank, world = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
    device = next(learner.parameters()).device
    accumulator = learner.scores()
    was_training = learner.training
    learner.eval()
    with torch.no_grad(), autocast(device, precision):
        for index, batch in enumerate(batches):
            if index % world == rank:
                learner.score({key: value.to(device) for key, value in batch.items()}, accumulator)
    learner.train(was_training)
    if distributed:
        shares: list[dict[str, torch.Tensor]] = [{} for _ in range(world)]
        dist.all_gather_object(shares, accumulator.sums)
        accumulator.sums = {}
        for share in shares:
            for name, value in share.items():
                accumulator.add(name, value)
    return accumulator
