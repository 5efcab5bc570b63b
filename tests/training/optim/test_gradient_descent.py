"""SGD against its recursion."""

import numpy as np
import pytest

from seedbed.config import UserError
from seedbed.training.optim import SGDConfig
from tests.training.optim.trajectories import Rule, config, furthest, walk, walk_by_hand


def sgd(*, momentum: float, nesterov: bool, decay: float) -> Rule:
    def rule(weights, gradient, memory, rate, step):
        gradient = gradient + decay * weights
        memory["v"] = momentum * memory.get("v", np.zeros_like(weights)) + gradient
        return weights - rate * (gradient + momentum * memory["v"] if nesterov else memory["v"])

    return rule


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_it_walks_as_written_out(momentum: float, nesterov: bool) -> None:
    own = walk(config("sgd", learning_rate=0.1, weight_decay=0.2, momentum=momentum, nesterov=nesterov))
    rules = {m: sgd(momentum=momentum, nesterov=nesterov, decay=0.2 * m) for m in (True, False)}
    assert furthest(own, walk_by_hand(lambda _, is_matrix: (rules[is_matrix], 0.1))) < 1e-12


def test_nesterov_without_momentum_is_told() -> None:
    with pytest.raises(UserError, match="nesterov is a kind of momentum, and momentum is 0; give momentum"):
        SGDConfig.parse({"name": "sgd", "learning_rate": 0.1, "nesterov": True}, "recipe")
