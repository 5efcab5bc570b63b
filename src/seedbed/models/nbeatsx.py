"""NBEATSx: N-BEATS whose blocks see covariates, and stacks that explain a series by them.

Olivares, Challu, Marcjasz, Weron and Dubrawski 2022 (arXiv 2104.05522), section 3. The first layer of every
block takes the residual and all covariates side by side; static ones are our addition. It is written as two
maps that are added, which is the same.

Shape legend: ... B windows or M members, B windows; T lookback, H horizon, E all covariates in a row, S
stacks.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.config import Strict
from seedbed.fidelity import Deviation
from seedbed.learner import Repeated
from seedbed.models.exogenous import (
    CausalEncoder,
    ContextBasis,
    CovariateBasis,
    Exogenous,
    Scaled,
    Scaling,
)
from seedbed.models.nbeats import LAYERS, Basis, GenericConfig, SeasonalityConfig, TrendConfig, numbered
from seedbed.models.nbeats_ensemble import expand

DEVIATIONS = (
    Deviation(
        "NBEATSx",
        "Covariates are past and future ones.",
        "Static ones are taken too, beside the others in the first layer of every block and in the context.",
        "Panels of many series have them, and the paper's markets are forecast one by one.",
        "Olivares et al. 2022, section 3",
    ),
    Deviation(
        "NBEATSx",
        "The generic stack's basis is the identity.",
        "It is learned, as in N-BEATS.",
        "So one file holds both, and a forecaster without covariates differs in nothing else.",
        "Olivares et al. 2022, section 3",
    ),
)


class TimeBasis(nn.Module):
    """A basis of N-BEATS, which knows time alone."""

    def __init__(self, backcast: nn.Module | None, forecast: nn.Module) -> None:
        super().__init__()
        self.backcast, self.forecast = backcast, forecast

    def forward(
        self, theta_backcast: Tensor | None, theta_forecast: Tensor, given: Exogenous
    ) -> tuple[Tensor | None, Tensor]:
        """The backcast (..., T), None where there is no coefficient for it, and the forecast (..., H)."""
        forecast = expand(self.forecast, theta_forecast, given.future)
        if theta_backcast is None or self.backcast is None:
            return None, forecast
        return expand(self.backcast, theta_backcast, given.future), forecast


class ExogenousBlock(Repeated):
    """A block of N-BEATS whose first layer sees the covariates beside the residual."""

    def __init__(
        self,
        basis: nn.Module,
        *,
        layers: Sequence[nn.Module],
        covariates: nn.Module,
        theta_backcast: nn.Module | None,
        theta_forecast: nn.Module,
    ) -> None:
        super().__init__()
        self.basis = basis
        self.layers = nn.ModuleList(layers)
        self.covariates = covariates
        self.theta_backcast, self.theta_forecast = theta_backcast, theta_forecast

    def forward(self, insample: Tensor, flat: Tensor, given: Exogenous) -> tuple[Tensor | None, Tensor]:
        """The backcast (..., T), None in the last block, and the forecast (..., H); `flat` is (..., E)."""
        first, *others = self.layers
        hidden = torch.relu(first(insample) + self.covariates(flat))
        for layer in others:
            hidden = torch.relu(layer(hidden))
        theta_backcast = None if self.theta_backcast is None else self.theta_backcast(hidden)
        backcast, forecast = self.basis(theta_backcast, self.theta_forecast(hidden), given)
        return backcast, forecast


class ExogenousStack(nn.Module):
    """Blocks of one kind, each working on what those before left unexplained."""

    def __init__(self, blocks: Sequence[ExogenousBlock], *, passes: int) -> None:
        super().__init__()
        self.blocks, self.passes = nn.ModuleList(blocks), passes

    def forward(
        self, residual: Tensor, mask: Tensor, flat: Tensor, given: Exogenous
    ) -> tuple[Tensor, Tensor]:
        """What is left of the window, and this stack's share of the forecast."""
        forecasts = []
        for block in self.blocks:
            for _ in range(self.passes):
                backcast, forecast = block(residual, flat, given)
                if backcast is not None:
                    residual = (residual - backcast) * mask
                forecasts.append(forecast)
        return residual, torch.stack(forecasts).sum(0)


class NBEATSx(nn.Module):
    """Stacks in a row: of one network on (B, ...), or of several members on (M, B, ...)."""

    seen: Tensor

    def __init__(
        self, stacks: Sequence[ExogenousStack], *, scaled: Scaled, lookback: int, horizon: int, seen: Tensor
    ) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(stacks)
        self.scaled, self.lookback, self.horizon = scaled, lookback, horizon
        # of members with a shorter lookback 0 before it
        self.register_buffer("seen", seen.to(torch.get_default_dtype()), persistent=False)

    def components(self, insample: Tensor, mask: Tensor, given: Exogenous) -> Tensor:
        """Each stack's share of the forecast, shape (S, ..., H)."""
        mask = mask * self.seen[..., : self.lookback]
        given = self.scaled(given.masked(self.seen))
        flat, residual = given.flat(), insample * mask
        shares = []
        for stack in self.stacks:
            residual, forecast = stack(residual, mask, flat, given)
            shares.append(forecast)
        return torch.stack(shares)

    def forward(self, insample: Tensor, mask: Tensor, given: Exogenous) -> Tensor:
        """The forecast (..., H): the sum of `components`."""
        return self.components(insample, mask, given).sum(0)


class ExogenousConfig(Strict):
    """A stack whose basis is the covariates themselves (interpretable form); it needs one known ahead."""

    name: Literal["exogenous"]
    blocks: int = Field(1, ge=1)
    width: int = Field(512, ge=1)
    share_weights: bool = False


class ExogenousContextConfig(Strict):
    """A stack whose basis is what convolutions make of the covariates (generic form)."""

    name: Literal["exogenous_context"]
    blocks: int = Field(1, ge=1)
    width: int = Field(512, ge=1)
    context_size: int = Field(8, ge=1, description="channels of the context, each with a coefficient")
    hidden_size: int = Field(16, ge=1, description="channels of the convolutions")
    num_layers: int = Field(3, ge=1, description="of convolutions; the dilation doubles from one to the next")
    kernel_size: int = Field(3, ge=2)
    share_weights: bool = False


StackConfig = Annotated[
    GenericConfig | TrendConfig | SeasonalityConfig | ExogenousConfig | ExogenousContextConfig,
    Field(discriminator="name"),
]


class NBEATSxConfig(Strict):
    """NBEATSx as a list of stacks; lookback, horizon and covariates come from the panel."""

    name: Literal["nbeatsx"]
    stacks: tuple[StackConfig, ...] = Field(min_length=1)
    scaling: Scaling = Field(
        "window",
        description="window: covariates over their largest absolute value in the lookback; panel: their "
        "departures from the panel's mean, over its deviation",
    )

    def build(self, *, lookback: int, horizon: int, seed: int, facts: Mapping[str, Tensor]) -> NBEATSx:
        """A network whose initial weights are a function of `seed` alone; the global generator stays put.

        `facts` (3, C) of each kind of covariate: mean, deviation, largest absolute value.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            builder = _Builder(facts, lookback=lookback, horizon=horizon)
            last = len(self.stacks) - 1
            stacks = [builder.stack(stack, is_last=index == last) for index, stack in enumerate(self.stacks)]
        return NBEATSx(
            stacks,
            scaled=Scaled(dict(facts), scaling=self.scaling),
            lookback=lookback,
            horizon=horizon,
            seen=torch.ones(lookback + horizon),
        )

    def component_names(self) -> tuple[str, ...]:
        """One name per stack: its kind, numbered where a kind occurs twice."""
        return numbered([stack.name for stack in self.stacks])


class _Builder:
    """Blocks for windows of one size."""

    def __init__(self, facts: Mapping[str, Tensor], *, lookback: int, horizon: int) -> None:
        self.lookback, self.horizon = lookback, horizon
        self.past, self.future, static = (facts[kind].shape[-1] for kind in ("past", "future", "static"))
        self.channels = self.past + self.future + static
        self.inputs = lookback * (self.past + self.future) + horizon * self.future + static

    def stack(self, config: StackConfig, *, is_last: bool) -> ExogenousStack:
        passes = config.blocks if config.share_weights else 1
        count = config.blocks // passes
        return ExogenousStack(
            [
                self.block(config, has_backcast=not is_last or passes > 1 or index < count - 1)
                for index in range(count)
            ],
            passes=passes,
        )

    def block(self, config: StackConfig, *, has_backcast: bool) -> ExogenousBlock:
        basis, backwards, forwards = self.basis(config, has_backcast=has_backcast)
        sizes = [self.lookback, *[config.width] * LAYERS]
        return ExogenousBlock(
            basis,
            layers=[nn.Linear(size, after) for size, after in pairwise(sizes)],
            covariates=nn.Linear(self.inputs, config.width, bias=False),
            theta_backcast=nn.Linear(config.width, backwards, bias=False) if has_backcast else None,
            theta_forecast=nn.Linear(config.width, forwards, bias=False),
        )

    def basis(self, config: StackConfig, *, has_backcast: bool) -> tuple[nn.Module, int, int]:
        """A basis and how many coefficients it takes backwards and forwards."""
        if isinstance(config, ExogenousConfig):
            assert self.future, "an exogenous stack needs a covariate that is known ahead"
            return CovariateBasis(), self.past + self.future, self.future
        if isinstance(config, ExogenousContextConfig):
            encoder = CausalEncoder.of(
                self.channels,
                hidden_size=config.hidden_size,
                context_size=config.context_size,
                num_layers=config.num_layers,
                kernel_size=config.kernel_size,
            )
            return ContextBasis(encoder), config.context_size, config.context_size
        of_time: Basis = config.basis(lookback=self.lookback, horizon=self.horizon)
        basis = TimeBasis(of_time.backcast if has_backcast else None, of_time.forecast)
        return basis, of_time.theta_size, of_time.theta_size
