"""Optimizers: AdamW with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101)."""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from seedbed.config import Strict


class AdamWConfig(Strict):
    """AdamW; weight decay falls on matrices only, never on biases and norms (as BERT trains)."""

    name: Literal["adamw"]
    learning_rate: float = Field(gt=0, description="peak, before the schedule's factor")
    weight_decay: float = Field(0.01, ge=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-6, gt=0)

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of every trainable parameter of `module`, in `named_parameters` order."""
        parameters = [p for p in module.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=self.learning_rate,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            fused=True,
        )


# The catalogue; a second optimizer makes it a union told apart by `name`.
Optimizer = AdamWConfig
