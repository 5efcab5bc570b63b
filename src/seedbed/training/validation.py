"""Scoring without gradients: the one way validation, prediction and evaluation run a Learner."""

from collections.abc import Iterable
from itertools import islice
from typing import Literal

import torch

from seedbed.learner import Accumulator, Batch, Learner
from seedbed.training.ranks import gather, position
from seedbed.training.sharding import is_sharded, release

Precision = Literal["fp32", "bf16"]


def autocast(device: torch.device | str, precision: Precision) -> torch.autocast:
    """The autocast context of a recipe's precision."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bf16")


def predict_scores(learner: Learner, batches: Iterable[Batch], *, precision: Precision) -> Accumulator:
    """Score all batches in eval mode; with several processes each takes its share and sums are added.

    The processes of a sharded learner fetch each other's weights, so all go through it as often: where
    batches run out, the rest score one for nobody.
    """
    rank, world = position()
    device = next(learner.parameters()).device
    accumulator = learner.scores()
    was_training = learner.training
    learner.eval()
    with torch.no_grad(), autocast(device, precision):
        remaining = iter(batches)
        while turn := list(islice(remaining, world)):
            if rank < len(turn):
                learner.score(_on(device, turn[rank]), accumulator)
            elif is_sharded(learner):
                learner.score(_on(device, turn[0]), learner.scores())
    release(learner)
    learner.train(was_training)
    if world > 1:
        shares = gather(accumulator.sums)
        accumulator.sums = {}
        for share in shares:
            for name, value in share.items():
                accumulator.add(name, value)
    return accumulator


def _on(device: torch.device, batch: Batch) -> Batch:
    return {name: value.to(device) for name, value in batch.items()}
