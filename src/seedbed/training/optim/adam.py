"""Adam (Kingma and Ba 2015, arXiv 1412.6980) and AdamW, with decoupled weight decay (Loshchilov and
Hutter 2019, arXiv 1711.05101): torch's, fused."""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from seedbed.config import Strict
from seedbed.training.optim.base import Group, OptimizerBase, trainable


class AdamConfig(OptimizerBase):
    """Adam; its weight decay, if any, is L2."""

    name: Literal["adam"]
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-8, gt=0)

    def assemble(self, module: nn.Module, scale: Callable[[str], float]) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            self.groups(trainable(module), scale),
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            fused=True,
        )


class AdamWSettings(Strict):
    """AdamW for a part of the parameters."""

    learning_rate: float = Field(gt=0, description="peak, before the schedule's factor")
    weight_decay: float = Field(0.01, ge=0, description="decoupled from the gradient")
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-6, gt=0)

    def adamw(self, groups: list[Group]) -> torch.optim.AdamW:
        return torch.optim.AdamW(groups, betas=(self.beta1, self.beta2), eps=self.epsilon, fused=True)


class AdamWConfig(AdamWSettings, OptimizerBase):
    """AdamW, as BERT trains."""

    name: Literal["adamw"]

    def assemble(self, module: nn.Module, scale: Callable[[str], float]) -> torch.optim.Optimizer:
        return self.adamw(self.groups(trainable(module), scale))
