"""Adam and AdamW against their recursions."""

import numpy as np
import pytest
import torch
from torch import nn

from seedbed.training.optim import AdamConfig, AdamWConfig
from tests.training.optim.trajectories import Rule, furthest, walk, walk_by_hand


def adam(*, decay: float, decoupled: bool) -> Rule:
    """Kingma and Ba 2015, algorithm 1; decoupled: Loshchilov and Hutter 2019, algorithm 2."""

    def rule(weights, gradient, memory, rate, step):
        if decoupled:
            weights = weights - rate * decay * weights
        else:
            gradient = gradient + decay * weights
        memory["m"] = 0.8 * memory.get("m", 0.0) + 0.2 * gradient
        memory["v"] = 0.95 * memory.get("v", 0.0) + 0.05 * gradient**2
        mean, square = memory["m"] / (1 - 0.8**step), memory["v"] / (1 - 0.95**step)
        return weights - rate * mean / (np.sqrt(square) + 1e-7)

    return rule


@pytest.mark.parametrize("decoupled", [False, True])
def test_it_walks_as_written_out(decoupled: bool) -> None:
    settings = {"learning_rate": 0.1, "weight_decay": 0.2, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-7}
    own = AdamWConfig(name="adamw", **settings) if decoupled else AdamConfig(name="adam", **settings)
    rules = {m: adam(decay=0.2 * m, decoupled=decoupled) for m in (True, False)}
    assert furthest(walk(own), walk_by_hand(lambda _, is_matrix: (rules[is_matrix], 0.1))) < 1e-10


def test_without_decay_adam_is_adamw_bit_for_bit() -> None:
    """Recipes that said adamw without decay may say adam."""
    settings = {"learning_rate": 0.1, "weight_decay": 0.0, "epsilon": 1e-8}
    one = walk(AdamConfig(name="adam", **settings))
    other = walk(AdamWConfig(name="adamw", **settings))
    assert furthest(one, other) == 0.0


def test_one_step_is_adamw_by_hand() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    optimizer = AdamWConfig(name="adamw", learning_rate=0.1, weight_decay=0.5, epsilon=1e-8).build(layer)
    layer(torch.tensor([[3.0]])).sum().backward()
    optimizer.step()
    # decay 2 - 0.1*0.5*2, then lr * sign(gradient): the first Adam step has size lr
    assert layer.weight.item() == pytest.approx(2.0 - 0.1 - 0.1, abs=1e-6)
