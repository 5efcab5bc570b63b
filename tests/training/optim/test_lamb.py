"""LAMB against algorithm 2 of the paper, written out."""

import numpy as np
import pytest
import torch
from torch import nn

from seedbed.training.optim import LAMBConfig
from tests.training.optim.trajectories import Rule, furthest, walk, walk_by_hand


def lamb(*, decay: float, adapts: bool) -> Rule:
    """You et al. 2020, algorithm 2, with phi(z) = z."""

    def rule(weights, gradient, memory, rate, step):
        memory["m"] = 0.9 * memory.get("m", 0.0) + (1 - 0.9) * gradient
        memory["v"] = 0.98 * memory.get("v", 0.0) + (1 - 0.98) * gradient**2
        mean, square = memory["m"] / (1 - 0.9**step), memory["v"] / (1 - 0.98**step)
        direction = mean / (np.sqrt(square) + 1e-6) + decay * weights
        norms = np.linalg.norm(weights), np.linalg.norm(direction)
        ratio = norms[0] / norms[1] if adapts and min(norms) > 0 else 1.0
        return weights - rate * ratio * direction

    return rule


def test_it_walks_as_written_out() -> None:
    own = walk(LAMBConfig(name="lamb", learning_rate=0.1, weight_decay=0.2, beta2=0.98))
    rules = {m: lamb(decay=0.2 * m, adapts=m) for m in (True, False)}
    assert furthest(own, walk_by_hand(lambda _, is_matrix: (rules[is_matrix], 0.1))) < 1e-12


def test_a_step_is_a_share_of_the_matrix_and_no_more() -> None:
    """Whatever the size of the gradient, a matrix moves by learning_rate of its norm."""
    layer = nn.Linear(7, 9)
    before = layer.weight.detach().clone()
    optimizer = LAMBConfig(name="lamb", learning_rate=0.03, weight_decay=0.0).build(layer)
    layer.weight.grad = 1e6 * torch.randn(9, 7, generator=torch.Generator().manual_seed(0))
    layer.bias.grad = torch.zeros(9)
    optimizer.step()
    assert (layer.weight - before).norm().item() == pytest.approx(0.03 * before.norm().item(), rel=1e-5)


def test_zeros_can_be_left() -> None:
    layer = nn.Linear(3, 2)
    nn.init.zeros_(layer.weight)
    layer.weight.grad, layer.bias.grad = torch.ones(2, 3), None
    bias = layer.bias.detach().clone()
    LAMBConfig(name="lamb", learning_rate=0.1).build(layer).step()
    torch.testing.assert_close(layer.weight, torch.full((2, 3), -0.1))
    assert torch.equal(layer.bias, bias)
