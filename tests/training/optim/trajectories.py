"""A small module in fp64, gradients given, and a walk of an optimizer beside one written out in numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import nn

from seedbed.training.optim import Optimizer, set_learning_rates
from seedbed.training.optim.base import OptimizerBase

STEPS = 30
Floats = NDArray[np.float64]
Rule = Callable[[Floats, Floats, dict[str, Any], float, int], Floats]
"""(weights, gradient, memory of this parameter, learning rate, step from 1) -> new weights."""


def config(name: str, **settings: Any) -> OptimizerBase:
    """As a recipe gives it: checked from plain values."""
    return TypeAdapter(Optimizer).validate_python({"name": name, **settings}, strict=False)  # type: ignore[arg-type]


def module() -> nn.Module:
    """A matrix (embeddings), two layers, a norm, a head; weights drawn anew, always the same."""
    built = nn.ModuleDict(
        {
            "embeddings": nn.Embedding(6, 5),
            "first": nn.Linear(5, 8),
            "second": nn.Linear(8, 5),
            "norm": nn.LayerNorm(5),
            "head": nn.Linear(5, 2),
        }
    ).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in built.parameters():
        nn.init.normal_(parameter, generator=generator)
    nn.init.zeros_(built["head"].bias)
    return built


def gradients(step: int) -> list[Floats]:
    """One array for each parameter; some of them tiny, one of them zero at first."""
    generator = np.random.default_rng(step)
    found = [
        generator.normal(size=tuple(p.shape)) * 10.0 ** -(n % 4) for n, p in enumerate(module().parameters())
    ]
    if step < 3:
        found[0] *= 0
    return found


def factor(step: int) -> float:
    return (step + 1) / STEPS


def give(target: nn.Module, step: int) -> None:
    for parameter, gradient in zip(target.parameters(), gradients(step), strict=True):
        parameter.grad = torch.from_numpy(gradient).to(parameter.dtype)


def walk(optimizer_config: OptimizerBase, **build: Any) -> dict[str, Floats]:
    """The weights after STEPS steps of the optimizer, by name."""
    target = module()
    optimizer = optimizer_config.build(target, **build)
    for step in range(STEPS):
        give(target, step)
        set_learning_rates(optimizer, factor(step))
        optimizer.step()
    return {name: parameter.detach().numpy() for name, parameter in target.named_parameters()}


def walk_by_hand(rule: Callable[[str, bool], tuple[Rule, float]]) -> dict[str, Floats]:
    """The same by `rule(name, is_matrix)`: the rule of a parameter and its peak learning rate."""
    found = {}
    for number, (name, parameter) in enumerate(module().named_parameters()):
        weights = parameter.detach().numpy().copy()
        one_step, peak = rule(name, weights.ndim >= 2)
        memory: dict[str, Any] = {}
        for step in range(STEPS):
            weights = one_step(weights, gradients(step)[number], memory, peak * factor(step), step + 1)
        found[name] = weights
    return found


def furthest(one: dict[str, Floats], other: dict[str, Floats]) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)
