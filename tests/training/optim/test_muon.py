"""Muon against its recursion and against an exact orthogonalisation; the rest against AdamW alone."""

import math

import numpy as np
import pytest
import torch

from seedbed.config import UserError
from seedbed.training.optim import AdamWConfig, MuonConfig
from tests.models.decoders import GPTS, shaken
from tests.objectives.batches import make_electra
from tests.training.optim.trajectories import Floats, give, module, walk, walk_by_hand

SETTINGS = {
    "name": "muon",
    "learning_rate": 0.02,
    "weight_decay": 0.1,
    "rate_adjustment": "original",
    "others": {"learning_rate": 0.003, "weight_decay": 0.05},
}
CHOSEN = ("first.weight", "second.weight")


def newton_schulz(matrix: Floats) -> Floats:
    """Five quintic iterations with the coefficients of the post, in bf16 on the side that is shorter."""
    x = torch.from_numpy(matrix).bfloat16()
    x = x.T if matrix.shape[0] > matrix.shape[1] else x
    x = x / x.norm()
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    x = x.T if matrix.shape[0] > matrix.shape[1] else x
    return x.double().numpy()


def muon(weights, gradient, memory, rate, step):
    memory["b"] = 0.95 * memory.get("b", np.zeros_like(weights)) + 0.05 * gradient
    direction = newton_schulz(0.05 * gradient + 0.95 * memory["b"])
    shape = math.sqrt(max(1, weights.shape[0] / weights.shape[1]))
    return weights - rate * 0.1 * weights - rate * shape * direction


def stay(weights, gradient, memory, rate, step):
    return weights


def test_it_walks_as_written_out() -> None:
    """bf16 carries 8 bits, and roundings fall where products are formed: nearer than 2 % of the way."""
    first, expected = weights(), walk_by_hand(lambda name, _: (muon if name in CHOSEN else stay, 0.02))

    def distance(own: dict[str, Floats]) -> float:
        ways = {name: np.abs(expected[name] - first[name]).max() for name in CHOSEN}
        return max(float(np.abs(own[name] - expected[name]).max() / ways[name]) for name in CHOSEN)

    assert distance(walk(MuonConfig.parse(SETTINGS, "optimizer"))) < 0.02
    for other in ({"nesterov": False}, {"momentum": 0.9}, {"weight_decay": 0.0}, {"num_iterations": 4}):
        assert distance(walk(MuonConfig.parse(SETTINGS | other, "optimizer"))) > 0.04, other


def weights() -> dict[str, Floats]:
    return {name: parameter.detach().numpy() for name, parameter in module().named_parameters()}


def test_the_first_step_is_the_orthogonal_part_of_the_gradient() -> None:
    """U V' of the singular value decomposition; the iteration leaves singular values around 1, not at 1."""
    target = module()
    optimizer = MuonConfig.parse(SETTINGS | {"weight_decay": 0.0}, "optimizer").build(target)
    before = weights()
    give(target, 5)
    optimizer.step()
    for name, stretch in (("first", math.sqrt(8 / 5)), ("second", 1.0)):
        gradient = target[name].weight.grad.numpy()
        step = (before[f"{name}.weight"] - target[name].weight.detach().numpy()) / (0.02 * stretch)
        u, _, vt = np.linalg.svd(gradient, full_matrices=False)
        inner = u.T @ step @ vt.T
        assert np.abs(inner - np.diag(np.diag(inner))).max() < 0.05
        assert (np.diag(inner) > 0.6).all() and (np.diag(inner) < 1.3).all()


def test_what_is_not_muons_is_adamws_alone() -> None:
    own = walk(MuonConfig.parse(SETTINGS, "optimizer"))
    alone = walk(AdamWConfig(name="adamw", learning_rate=0.003, weight_decay=0.05))
    for name in own:
        same = np.array_equal(own[name], alone[name])
        assert same == (name not in CHOSEN), name


def test_the_modules_named_decide() -> None:
    groups = (
        MuonConfig.parse(SETTINGS | {"others_below": ["first"]}, "optimizer").build(module()).param_groups
    )
    found = {(group["part"], len(group["params"])): group["lr"] for group in groups}
    # Muon: second, head; AdamW: the embeddings, first, and every vector
    assert found == {(0, 2): 0.02, (1, 2): 0.003, (1, 5): 0.003}
    with pytest.raises(UserError, match="leaves Muon no matrix; name fewer modules"):
        MuonConfig.parse(SETTINGS | {"others_below": ["first", "second", "head"]}, "optimizer").build(
            module()
        )


@pytest.mark.parametrize("name", ["electra", *GPTS])
def test_in_a_real_network_muon_has_the_matrices_of_the_blocks(name: str) -> None:
    network = make_electra() if name == "electra" else shaken(name)
    groups = MuonConfig.parse(SETTINGS, "optimizer").build(network).param_groups
    muons = {id(p) for group in groups if group["part"] == 0 for p in group["params"]}
    for key, parameter in network.named_parameters():
        inside = parameter.ndim == 2 and ("blocks." in key or "projection." in key)
        assert (id(parameter) in muons) == inside, key


def test_a_closure_is_called_once() -> None:
    target, calls = module(), []
    optimizer = MuonConfig.parse(SETTINGS, "optimizer").build(target)
    give(target, 0)
    assert optimizer.step(lambda: calls.append(1) or 2.5) == 2.5
    assert len(calls) == 1
