"""Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): of each block only the input is kept, and
the backward pass computes the block again. Less memory, a third more computing, not a bit of difference."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from seedbed.learner import Repeated


@contextmanager
def recomputing(module: nn.Module, *, enabled: bool) -> Iterator[None]:
    """While it lasts, the blocks of `module` are computed again in the backward pass.

    Dropout draws the same numbers again: the state of the generators is kept with a block's input.
    """
    blocks = [part for part in module.modules() if isinstance(part, Repeated)] if enabled else []
    for block in blocks:
        # on the block itself, not around it: names of weights stay, and sharding finds its blocks
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward
