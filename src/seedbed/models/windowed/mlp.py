"""A multilayer perceptron from a window to its continuation.

Shape legend: B windows, T lookback, H horizon, W width.
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.models.windowed.base import WindowNetworkBase


class MLP(nn.Module):
    """Fully connected layers with ReLU, and a linear one to the horizon."""

    def __init__(self, *, lookback: int, horizon: int, width: int, num_layers: int) -> None:
        super().__init__()
        sizes = [lookback, *[width] * num_layers]
        self.layers = nn.ModuleList(nn.Linear(size, after) for size, after in pairwise(sizes))
        self.output = nn.Linear(sizes[-1], horizon)

    def forward(self, window_BT: Tensor, mask_BT: Tensor) -> Tensor:
        hidden_BW = window_BT * mask_BT
        for layer in self.layers:
            hidden_BW = torch.relu(layer(hidden_BW))
        forecast_BH: Tensor = self.output(hidden_BW)
        return forecast_BH


class MLPConfig(WindowNetworkBase):
    """A multilayer perceptron."""

    name: Literal["mlp"]
    width: int = Field(256, ge=1)
    num_layers: int = Field(3, ge=0, description="hidden ones; 0: a linear forecast")

    def network(self, *, lookback: int, horizon: int) -> MLP:
        return MLP(lookback=lookback, horizon=horizon, width=self.width, num_layers=self.num_layers)
