"""A temporal convolutional network over a window (Bai, Kolter and Koltun 2018, arXiv 1803.01271, section 3).

Residual blocks of two dilated causal convolutions; the dilation doubles from block to block. Without the
paper's weight normalisation and dropout.

Shape legend: B windows, T lookback, H horizon, C channels.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from seedbed.models.windowed.base import WindowNetworkBase


class CausalBlock(nn.Module):
    """Two convolutions that look at a point and those before it, beside a direct way."""

    def __init__(self, inputs: int, channels: int, *, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.reach = (kernel_size - 1) * dilation
        self.first = nn.Conv1d(inputs, channels, kernel_size, dilation=dilation)
        self.second = nn.Conv1d(channels, channels, kernel_size, dilation=dilation)
        self.direct = nn.Conv1d(inputs, channels, 1) if inputs != channels else nn.Identity()

    def forward(self, values_BCT: Tensor) -> Tensor:
        hidden_BCT = torch.relu(self.first(pad(values_BCT, (self.reach, 0))))
        hidden_BCT = torch.relu(self.second(pad(hidden_BCT, (self.reach, 0))))
        return torch.relu(hidden_BCT + self.direct(values_BCT))


class TCN(nn.Module):
    """As many blocks as the last point needs to see the whole lookback; the horizon from that point."""

    def __init__(self, *, lookback: int, horizon: int, channels: int, kernel_size: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        seen, dilation = 1, 1
        while seen < lookback or not blocks:
            inputs = channels if blocks else 2
            blocks.append(CausalBlock(inputs, channels, kernel_size=kernel_size, dilation=dilation))
            seen += 2 * (kernel_size - 1) * dilation
            dilation *= 2
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(channels, horizon)

    def forward(self, window_BT: Tensor, mask_BT: Tensor) -> Tensor:
        hidden_BCT = self.blocks(torch.stack([window_BT * mask_BT, mask_BT], dim=1))
        forecast_BH: Tensor = self.output(hidden_BCT[..., -1])
        return forecast_BH


class TCNConfig(WindowNetworkBase):
    """A temporal convolutional network."""

    name: Literal["tcn"]
    channels: int = Field(32, ge=1)
    kernel_size: int = Field(3, ge=2)

    def network(self, *, lookback: int, horizon: int) -> TCN:
        return TCN(lookback=lookback, horizon=horizon, channels=self.channels, kernel_size=self.kernel_size)
