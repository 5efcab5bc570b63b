"""Stochastic gradient descent, with momentum, with Nesterov's: torch's."""

from collections.abc import Callable
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from seedbed.training.optim.base import OptimizerBase, trainable
from seedbed.training.sharding import is_sharded


class SGDConfig(OptimizerBase):
    """Plain at momentum 0.

    Momentum is a running sum of gradients, multiplied by the learning rate of the day (torch's form;
    Sutskever et al. 2013 sum up steps, each with the learning rate of its own day).
    """

    name: Literal["sgd"]
    momentum: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov is a kind of momentum, and momentum is 0; give momentum")
        return self

    def assemble(self, module: nn.Module, scale: Callable[[str], float]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            self.groups(trainable(module), scale),
            momentum=self.momentum,
            nesterov=self.nesterov,
            fused=not is_sharded(module),  # torch has no fused kernel of it for sharded weights
        )
