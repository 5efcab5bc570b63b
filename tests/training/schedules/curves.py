"""One schedule of each kind, and torch's schedulers run as their reference."""

from collections.abc import Callable
from typing import Any, get_args

import torch
from torch.optim import Optimizer as TorchOptimizer
from torch.optim.lr_scheduler import LRScheduler

from seedbed.training.schedules import (
    ConstantConfig,
    CosineConfig,
    CosineRestartsConfig,
    ExponentialConfig,
    InverseSqrtConfig,
    LinearConfig,
    MultiStepConfig,
    OneCycleConfig,
    PlateauConfig,
    PolynomialConfig,
    SlantedTriangularConfig,
    StepConfig,
    StepsConfig,
    WarmupStableDecayConfig,
)
from seedbed.training.schedules.base import ScheduleBase

STEPS = 400
TOLERANCE = 1e-12

KINDS: dict[type[ScheduleBase], dict[str, Any]] = {
    ConstantConfig: {},
    LinearConfig: {"min_factor": 0.1},
    PolynomialConfig: {"power": 2.5, "min_factor": 0.05},
    CosineConfig: {"min_factor": 0.1},
    CosineRestartsConfig: {"cycle_steps": 30, "growth": 2},
    InverseSqrtConfig: {},
    ExponentialConfig: {"gamma": 0.99},
    StepConfig: {"step_size": 30, "gamma": 0.3},
    MultiStepConfig: {"milestones": [50, 51, 200], "gamma": 0.3},
    StepsConfig: {"num_decays": 3},
    OneCycleConfig: {
        "rise_share": 0.3, "div_factor": 25.0, "final_div_factor": 1e4, "anneal": "cosine", "three_phase": False,
    },
    SlantedTriangularConfig: {"cut_share": 0.1, "ratio": 32.0},
    WarmupStableDecayConfig: {"decay_steps": 80, "shape": "one_minus_sqrt"},
    PlateauConfig: {"metric": "valid/loss", "mode": "min", "gamma": 0.5, "patience": 1},
}  # fmt: skip

HISTORY = [(step, "valid/loss", 1.0) for step in range(0, STEPS + 1, 40)]
"""Never better than at first: `plateau` falls at every second validation."""


def tag(model: type[ScheduleBase]) -> str:
    """The name by which a file chooses it."""
    [name] = get_args(model.model_fields["name"].annotation)
    return str(name)


def schedule(model: type[ScheduleBase], **settings: Any) -> ScheduleBase:
    """As a recipe gives it: checked from plain values."""
    return model.parse({"name": tag(model), **settings}, "schedule")


def factors(of: ScheduleBase, steps: int = STEPS) -> list[float]:
    return [of.factor(step, steps, history=HISTORY) for step in range(steps)]


def torch_factors(make: Callable[[TorchOptimizer], LRScheduler], steps: int = STEPS) -> list[float]:
    """What a scheduler of torch makes of a learning rate of 1, in Python's doubles."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


def distance(one: list[float], other: list[float]) -> float:
    assert len(one) == len(other)
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
