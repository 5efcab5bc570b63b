"""N-BEATS: stacks of blocks that explain a window backwards and continue it forwards.

Oreshkin, Carpov, Chapados, Bengio 2020, "N-BEATS: neural basis expansion analysis for interpretable time
series forecasting" (arXiv 1905.10437), sections 3.1 (block), 3.2 (doubly residual stacking) and 3.3
(generic, trend and seasonality bases).

Shape legend: B windows, T lookback, H horizon, K coefficients (theta), W width, S stacks.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.config import Strict
from seedbed.learner import Repeated

LAYERS = 4  # fully connected layers of a block (section 3.1)


class Basis(nn.Module):
    """Turns `theta_size` coefficients into a backcast (B, T), and as many others into a forecast (B, H)."""

    backcast: nn.Module
    forecast: nn.Module
    theta_size: int


class GenericBasis(Basis):
    """Learned basis vectors: V theta + b for each direction."""

    def __init__(self, *, lookback: int, horizon: int, theta_size: int) -> None:
        super().__init__()
        self.theta_size = theta_size
        self.backcast = nn.Linear(theta_size, lookback)
        self.forecast = nn.Linear(theta_size, horizon)


class FixedVectors(nn.Module):
    """A weighted sum of given functions of time; nothing is learned, so nothing is saved."""

    vectors_KT: Tensor

    def __init__(self, vectors_KT: Tensor) -> None:
        super().__init__()
        self.register_buffer("vectors_KT", vectors_KT.to(torch.get_default_dtype()), persistent=False)

    def forward(self, theta_BK: Tensor) -> Tensor:
        return theta_BK @ self.vectors_KT


class FixedBasis(Basis):
    """Given functions of time, rows of (K, T) and (K, H)."""

    def __init__(self, backcast_KT: Tensor, forecast_KH: Tensor) -> None:
        super().__init__()
        assert backcast_KT.shape[0] == forecast_KH.shape[0]
        self.theta_size = backcast_KT.shape[0]
        self.backcast, self.forecast = FixedVectors(backcast_KT), FixedVectors(forecast_KH)


class TrendBasis(FixedBasis):
    """Powers of time 0..degree: slow, smooth change."""

    def __init__(self, *, lookback: int, horizon: int, degree: int) -> None:
        super().__init__(powers(lookback, degree), powers(horizon, degree))


class SeasonalityBasis(FixedBasis):
    """A constant and `harmonics` cosines and sines: what returns."""

    def __init__(self, *, lookback: int, horizon: int, harmonics: int) -> None:
        super().__init__(waves(lookback, harmonics), waves(horizon, harmonics))


def grid(length: int) -> Tensor:
    """Time of section 3.3: 0, 1/length, ..., (length - 1)/length."""
    return torch.arange(length, dtype=torch.float64) / length


def powers(length: int, degree: int) -> Tensor:
    """Rows t^0 .. t^degree, shape (degree + 1, length)."""
    return grid(length)[None, :] ** torch.arange(degree + 1, dtype=torch.float64)[:, None]


def waves(length: int, harmonics: int) -> Tensor:
    """Rows 1, cos(2 pi i t), sin(2 pi i t) for i in 1..harmonics, shape (1 + 2 harmonics, length)."""
    orders = torch.arange(1, harmonics + 1, dtype=torch.float64)
    angles = 2 * math.pi * orders[:, None] * grid(length)[None, :]
    return torch.cat([torch.ones(1, length, dtype=torch.float64), torch.cos(angles), torch.sin(angles)])


class Block(Repeated):
    """Four FC + ReLU layers, then one linear projection to the coefficients of each direction.

    The last block of a network has no backcast: nobody reads it, so it would never learn.
    """

    def __init__(self, basis: Basis, *, lookback: int, width: int, has_backcast: bool = True) -> None:
        super().__init__()
        sizes = [lookback, *[width] * LAYERS]
        self.layers = nn.ModuleList(nn.Linear(size, after) for size, after in pairwise(sizes))
        # LINEAR of section 3.1 is a projection without bias; a constant is the basis's affair.
        self.theta_forecast = nn.Linear(width, basis.theta_size, bias=False)
        self.forecast = basis.forecast
        self.theta_backcast = nn.Linear(width, basis.theta_size, bias=False) if has_backcast else None
        self.backcast = basis.backcast if has_backcast else None

    def forward(self, insample_BT: Tensor) -> tuple[Tensor | None, Tensor]:
        """The backcast (B, T), None in the last block, and the forecast (B, H)."""
        hidden_BW = insample_BT
        for layer in self.layers:
            hidden_BW = torch.relu(layer(hidden_BW))
        forecast_BH: Tensor = self.forecast(self.theta_forecast(hidden_BW))
        if self.theta_backcast is None or self.backcast is None:
            return None, forecast_BH
        return self.backcast(self.theta_backcast(hidden_BW)), forecast_BH


class GenericConfig(Strict):
    """A stack that learns its basis (section 3.3, generic)."""

    name: Literal["generic"]
    blocks: int = Field(1, ge=1)
    width: int = Field(512, ge=1)
    theta_size: int = Field(32, ge=1, description="learned basis vectors per block and direction")
    share_weights: bool = False

    def basis(self, *, lookback: int, horizon: int) -> Basis:
        return GenericBasis(lookback=lookback, horizon=horizon, theta_size=self.theta_size)


class TrendConfig(Strict):
    """A stack of polynomials (section 3.3, trend model)."""

    name: Literal["trend"]
    blocks: int = Field(3, ge=1)
    width: int = Field(256, ge=1)
    degree: int = Field(2, ge=0, le=6)
    share_weights: bool = True

    def basis(self, *, lookback: int, horizon: int) -> Basis:
        return TrendBasis(lookback=lookback, horizon=horizon, degree=self.degree)


class SeasonalityConfig(Strict):
    """A stack of Fourier waves (section 3.3, seasonality model)."""

    name: Literal["seasonality"]
    blocks: int = Field(3, ge=1)
    width: int = Field(2048, ge=1)
    harmonics: int | None = Field(None, ge=0, description="null: the paper's floor(horizon / 2 - 1)")
    share_weights: bool = True

    def basis(self, *, lookback: int, horizon: int) -> Basis:
        harmonics = max(0, horizon // 2 - 1) if self.harmonics is None else self.harmonics
        return SeasonalityBasis(lookback=lookback, horizon=horizon, harmonics=harmonics)


StackConfig = Annotated[GenericConfig | TrendConfig | SeasonalityConfig, Field(discriminator="name")]


class Stack(nn.Module):
    """Blocks of one kind, each working on what those before left unexplained."""

    def __init__(self, config: StackConfig, *, lookback: int, horizon: int, is_last: bool) -> None:
        super().__init__()
        self.passes = config.blocks if config.share_weights else 1
        count = config.blocks // self.passes
        self.blocks = nn.ModuleList(
            Block(
                config.basis(lookback=lookback, horizon=horizon),
                lookback=lookback,
                width=config.width,
                has_backcast=not is_last or self.passes > 1 or index < count - 1,
            )
            for index in range(count)
        )

    def forward(self, residual_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """What is left of the window, and this stack's share of the forecast."""
        forecasts = []
        for block in self.blocks:
            for _ in range(self.passes):
                backcast_BT, forecast_BH = block(residual_BT)
                if backcast_BT is not None:
                    residual_BT = (residual_BT - backcast_BT) * mask_BT
                forecasts.append(forecast_BH)
        return residual_BT, torch.stack(forecasts).sum(0)


class NBEATS(nn.Module):
    """Stacks in a row. Padded points (mask 0) are zero on entry and are kept zero in every residual."""

    def __init__(self, stacks: tuple[StackConfig, ...], *, lookback: int, horizon: int) -> None:
        super().__init__()
        self.lookback, self.horizon = lookback, horizon
        self.stacks = nn.ModuleList(
            Stack(stack, lookback=lookback, horizon=horizon, is_last=index == len(stacks) - 1)
            for index, stack in enumerate(stacks)
        )

    def components(self, insample_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Each stack's share of the forecast, shape (S, B, H)."""
        residual_BT = insample_BT * mask_BT
        shares = []
        for stack in self.stacks:
            residual_BT, forecast_BH = stack(residual_BT, mask_BT)
            shares.append(forecast_BH)
        return torch.stack(shares)

    def forward(self, insample_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """The forecast (B, H): the sum of `components`."""
        return self.components(insample_BT, mask_BT).sum(0)


class NBEATSConfig(Strict):
    """N-BEATS as a list of stacks; lookback and horizon come from the panel."""

    name: Literal["nbeats"]
    stacks: tuple[StackConfig, ...] = Field(min_length=1)

    def build(self, *, lookback: int, horizon: int, seed: int) -> NBEATS:
        """A network whose initial weights are a function of `seed` alone; the global generator stays put."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return NBEATS(self.stacks, lookback=lookback, horizon=horizon)

    def component_names(self) -> tuple[str, ...]:
        """One name per stack: its kind, numbered where a kind occurs twice."""
        return numbered([stack.name for stack in self.stacks])


def numbered(kinds: Sequence[str]) -> tuple[str, ...]:
    """The names, those that occur twice with their number."""
    return tuple(
        kind if kinds.count(kind) == 1 else f"{kind}_{kinds[: index + 1].count(kind)}"
        for index, kind in enumerate(kinds)
    )
