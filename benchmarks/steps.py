"""A bare training step as the loop makes it, and a vocabulary for it."""

import torch

from seedbed.learner import Batch, Learner
from seedbed.tokenization import Vocabulary
from seedbed.training import Precision, autocast


def vocabulary(size: int) -> Vocabulary:
    """Five special tokens, then words."""
    return Vocabulary(
        size=size, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, special_ids=(0, 1, 2, 3, 4)
    )


def train_step(
    learner: Learner, optimizer: torch.optim.Optimizer, batch: Batch, precision: Precision
) -> None:
    """Forward, backward, clipping and update."""
    with autocast("cpu", precision):
        loss = learner.whole_loss(batch)["loss"]
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
