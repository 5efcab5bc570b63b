"""LAMB: Adam's direction, each matrix moved in proportion to its own size.

You et al. 2020, "Large Batch Optimization for Deep Learning" (arXiv 1904.00962), algorithm 2, with its
bias correction and with phi the identity. Torch has none.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.training.optim.base import Group, OptimizerBase, trainable


class LAMBConfig(OptimizerBase):
    """LAMB for matrices; biases and norms take plain Adam steps.

    As in the authors' code, what is left out of weight decay is left out of the scaling too.
    """

    name: Literal["lamb"]
    weight_decay: float = Field(0.01, ge=0, description="decoupled from the gradient")
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-6, gt=0)

    def assemble(self, module: nn.Module, scale: Callable[[str], float]) -> torch.optim.Optimizer:
        groups = self.groups(trainable(module), scale)
        for group in groups:
            group["adapts"] = group["params"][0].ndim >= 2
        return LAMB(groups, betas=(self.beta1, self.beta2), epsilon=self.epsilon)


class LAMB(torch.optim.Optimizer):
    """Groups bring `lr`, `weight_decay` and `adapts`: whether the step is scaled by the trust ratio."""

    def __init__(self, groups: list[Group], *, betas: tuple[float, float], epsilon: float) -> None:
        super().__init__(groups, {"betas": betas, "eps": epsilon})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step(group)
        return loss

    def _step(self, group: Group) -> None:
        weights: list[Tensor] = [p for p in group["params"] if p.grad is not None]
        if not weights:
            return
        gradients = [p.grad for p in weights if p.grad is not None]
        states = [self._state(p) for p in weights]
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]
        beta1, beta2 = group["betas"]
        for state in states:
            state["step"] += 1
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        counts = [state["step"].item() for state in states]
        updates = torch._foreach_div(means, [1 - beta1**count for count in counts])
        sizes = torch._foreach_div(squares, [1 - beta2**count for count in counts])
        torch._foreach_sqrt_(sizes)
        torch._foreach_add_(sizes, group["eps"])
        torch._foreach_div_(updates, sizes)
        torch._foreach_add_(updates, weights, alpha=group["weight_decay"])
        if group["adapts"]:
            torch._foreach_mul_(updates, trust_ratios(weights, updates))
        torch._foreach_add_(weights, updates, alpha=-group["lr"])

    def _state(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            # the count stays on the CPU, where reading it waits for no device
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state


def trust_ratios(weights: Sequence[Tensor], updates: Sequence[Tensor]) -> list[Tensor]:
    """Norm of the weights over norm of the update; 1 where either is 0, so that zeros can be left."""
    pairs = zip(torch._foreach_norm(list(weights)), torch._foreach_norm(list(updates)), strict=True)
    return [torch.where((own > 0) & (update > 0), own / update, 1.0) for own, update in pairs]
