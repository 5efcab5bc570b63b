"""Rates by each weight's own past gradients: AdaGrad and RMSProp, torch's."""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from seedbed.training.optim.base import OptimizerBase, trainable
from seedbed.training.sharding import is_sharded


class AdagradConfig(OptimizerBase):
    """Divided by the root of the sum of squared gradients (Duchi, Hazan and Singer 2011)."""

    name: Literal["adagrad"]
    initial_accumulator: float = Field(0.0, ge=0, description="the sum before the first gradient")
    epsilon: float = Field(1e-10, gt=0)

    def assemble(self, module: nn.Module, scale: Callable[[str], float]) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(
            self.groups(trainable(module), scale),
            initial_accumulator_value=self.initial_accumulator,
            eps=self.epsilon,
            fused=not is_sharded(module),  # torch has no fused kernel of it for sharded weights
        )


class RMSpropConfig(OptimizerBase):
    """Divided by the root of the running mean of squared gradients (Hinton's lecture 6e, 2012)."""

    name: Literal["rmsprop"]
    smoothing: float = Field(0.9, ge=0, lt=1, description="share of the past in the running mean")
    epsilon: float = Field(1e-8, gt=0)
    momentum: float = Field(0.0, ge=0, lt=1)
    centered: bool = Field(False, description="divide by the standard deviation (Graves 2013)")

    def assemble(self, module: nn.Module, scale: Callable[[str], float]) -> torch.optim.Optimizer:
        # torch has no fused kernel of it
        return torch.optim.RMSprop(
            self.groups(trainable(module), scale),
            alpha=self.smoothing,
            eps=self.epsilon,
            momentum=self.momentum,
            centered=self.centered,
        )
