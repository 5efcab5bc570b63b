"""AdaGrad and RMSProp against their recursions."""

import numpy as np
import pytest

from seedbed.training.optim import AdagradConfig, RMSpropConfig
from tests.training.optim.trajectories import Rule, furthest, walk, walk_by_hand


def adagrad(*, decay: float) -> Rule:
    def rule(weights, gradient, memory, rate, step):
        gradient = gradient + decay * weights
        memory["sum"] = memory.get("sum", 0.3) + gradient**2
        return weights - rate * gradient / (np.sqrt(memory["sum"]) + 1e-10)

    return rule


def rmsprop(*, decay: float, momentum: float, centered: bool) -> Rule:
    def rule(weights, gradient, memory, rate, step):
        gradient = gradient + decay * weights
        memory["square"] = 0.9 * memory.get("square", 0.0) + 0.1 * gradient**2
        memory["mean"] = 0.9 * memory.get("mean", 0.0) + 0.1 * gradient
        spread = memory["square"] - memory["mean"] ** 2 if centered else memory["square"]
        memory["v"] = momentum * memory.get("v", 0.0) + gradient / (np.sqrt(spread) + 1e-8)
        return weights - rate * memory["v"]

    return rule


def test_adagrad_walks_as_written_out() -> None:
    own = walk(AdagradConfig(name="adagrad", learning_rate=0.1, weight_decay=0.2, initial_accumulator=0.3))
    rules = {m: adagrad(decay=0.2 * m) for m in (True, False)}
    assert furthest(own, walk_by_hand(lambda _, is_matrix: (rules[is_matrix], 0.1))) < 1e-12


@pytest.mark.parametrize(("momentum", "centered"), [(0.0, False), (0.9, False), (0.9, True)])
def test_rmsprop_walks_as_written_out(momentum: float, centered: bool) -> None:
    own = walk(
        RMSpropConfig(
            name="rmsprop", learning_rate=0.01, weight_decay=0.2, momentum=momentum, centered=centered
        )
    )
    rules = {m: rmsprop(decay=0.2 * m, momentum=momentum, centered=centered) for m in (True, False)}
    assert furthest(own, walk_by_hand(lambda _, is_matrix: (rules[is_matrix], 0.01))) < 1e-10
