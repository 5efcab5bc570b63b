"""Recurrent networks over a window: Elman's (1990), LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et
al. 2014, arXiv 1406.1078), torch's, with the whole horizon read from the last state.

Shape legend: B windows, T lookback, H horizon, D hidden size.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.models.windowed.base import WindowNetworkBase


class Recurrent(nn.Module):
    """Reads value and mask of each point, oldest first, so that it can tell padding from zero."""

    def __init__(self, layers: nn.RNNBase, *, horizon: int) -> None:
        super().__init__()
        self.layers = layers
        self.output = nn.Linear(layers.hidden_size, horizon)

    def forward(self, window_BT: Tensor, mask_BT: Tensor) -> Tensor:
        hidden_BTD, _ = self.layers(torch.stack([window_BT * mask_BT, mask_BT], dim=-1))
        forecast_BH: Tensor = self.output(hidden_BTD[:, -1])
        return forecast_BH


class RecurrentBase(WindowNetworkBase):
    """Sizes of a recurrent network."""

    hidden_size: int = Field(64, ge=1)
    num_layers: int = Field(1, ge=1)


class RNNConfig(RecurrentBase):
    """Elman's network."""

    name: Literal["rnn"]

    def network(self, *, lookback: int, horizon: int) -> Recurrent:
        layers = nn.RNN(2, self.hidden_size, self.num_layers, batch_first=True)
        return Recurrent(layers, horizon=horizon)


class LSTMConfig(RecurrentBase):
    """Long short-term memory."""

    name: Literal["lstm"]

    def network(self, *, lookback: int, horizon: int) -> Recurrent:
        layers = nn.LSTM(2, self.hidden_size, self.num_layers, batch_first=True)
        return Recurrent(layers, horizon=horizon)


class GRUConfig(RecurrentBase):
    """Gated recurrent units."""

    name: Literal["gru"]

    def network(self, *, lookback: int, horizon: int) -> Recurrent:
        layers = nn.GRU(2, self.hidden_size, self.num_layers, batch_first=True)
        return Recurrent(layers, horizon=horizon)
