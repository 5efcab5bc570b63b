"""Covariates as networks take them, and bases that are made of them.

Olivares, Challu, Marcjasz, Weron and Dubrawski 2022, "Neural basis expansion analysis with exogenous
variables: Forecasting electricity prices with NBEATSx" (arXiv 2104.05522), section 3: in the interpretable
form the coefficients multiply the covariates themselves, in the generic one a context that dilated causal
convolutions (van den Oord et al. 2016, WaveNet, arXiv 1609.03499) make of them.

Every module computes one network on windows (B, ...) or, with weights that begin with M, a network for each
of M members on windows (M, B, ...).

Shape legend: ... B or M, B; T lookback, H horizon, L = T + H, P, F, S past, future, static covariates, C
channels, K coefficients (theta).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

Scaling = Literal["window", "panel"]


class Exogenous(NamedTuple):
    """The covariates of windows; what the mask (..., L) has as 0 is not known."""

    past: Tensor
    """(..., T, P)"""
    future: Tensor
    """(..., L, F)"""
    static: Tensor
    """(..., S)"""
    mask: Tensor

    def masked(self, seen: Tensor) -> "Exogenous":
        """Zero where the mask is 0 or `seen` is."""
        mask = self.mask * seen
        lookback = self.past.shape[-2]
        return Exogenous(
            self.past * mask[..., :lookback, None], self.future * mask[..., None], self.static, mask
        )

    def before(self) -> Tensor:
        """(..., T, P + F): what stands beside the lookback."""
        return torch.cat([self.past, self.future[..., : self.past.shape[-2], :]], -1)

    def ahead(self) -> Tensor:
        """(..., H, F): what is known of the horizon."""
        return self.future[..., self.past.shape[-2] :, :]

    def flat(self) -> Tensor:
        """(..., T (P + F) + H F + S): all of it, the oldest first."""
        return torch.cat([self.before().flatten(-2), self.ahead().flatten(-2), self.static], -1)

    def channels(self) -> Tensor:
        """(..., P + F + S, L): all of it in time; past ones are 0 ahead, static ones the same everywhere."""
        lookback, length = self.past.shape[-2], self.future.shape[-2]
        past = pad(self.past, (0, 0, 0, length - lookback))
        static = self.static[..., None, :] * self.mask[..., None]
        return torch.cat([past, self.future, static], -1).transpose(-1, -2)


class Scaled(nn.Module):
    """Brings covariates to the size of one.

    `window`: past and future ones over their largest absolute value in the lookback, as N-BEATS does with y;
    one that is 0 there, over its largest anywhere. `panel`: their departures from the mean, over the
    deviation. Static ones always so. Facts are (3, C) by kind: mean, deviation, largest; of members
    (M, 3, C).
    """

    past: Tensor
    future: Tensor
    static: Tensor

    def __init__(self, facts: dict[str, Tensor], *, scaling: Scaling) -> None:
        super().__init__()
        self.scaling = scaling
        for kind in ("past", "future", "static"):
            self.register_buffer(kind, facts[kind].to(torch.get_default_dtype()))

    def forward(self, given: Exogenous) -> Exogenous:
        """Takes masked covariates and gives such."""
        lookback = given.past.shape[-2]
        past, future = (
            self._in_time(values, getattr(self, kind), lookback)
            for kind, values in (("past", given.past), ("future", given.future))
        )
        mean, deviation, _ = _beside(self.static, given.static.ndim)
        static = (given.static - mean) / deviation
        return Exogenous(past, future, static, given.mask).masked(torch.ones_like(given.mask))

    def _in_time(self, values: Tensor, facts: Tensor, lookback: int) -> Tensor:
        mean, deviation, largest = _beside(facts, values.ndim)
        if self.scaling == "panel":
            return (values - mean) / deviation
        if not values.shape[-1]:
            return values
        own = values[..., :lookback, :].abs().amax(-2, keepdim=True)
        return values / torch.where(own > 0, own, largest)


def _beside(facts: Tensor, ndim: int) -> tuple[Tensor, Tensor, Tensor]:
    """The three rows (C) or (M, 1 ..., C), for tensors of `ndim` dimensions."""
    rows = facts.unbind(-2)
    if facts.ndim == 3:
        rows = tuple(row.reshape(len(row), *[1] * (ndim - 2), row.shape[-1]) for row in rows)
    mean, deviation, largest = rows
    return mean, deviation, largest


class CovariateBasis(nn.Module):
    """A coefficient for each covariate: of past and future ones backwards, of the future ones forwards."""

    def forward(
        self, theta_backcast: Tensor | None, theta_forecast: Tensor, given: Exogenous
    ) -> tuple[Tensor | None, Tensor]:
        """The backcast (..., T), None where there is no coefficient for it, and the forecast (..., H)."""
        forecast = _weighted(given.ahead(), theta_forecast)
        return None if theta_backcast is None else _weighted(given.before(), theta_backcast), forecast


class ContextBasis(nn.Module):
    """A coefficient for each channel of the context."""

    def __init__(self, encoder: "CausalEncoder") -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, theta_backcast: Tensor | None, theta_forecast: Tensor, given: Exogenous
    ) -> tuple[Tensor | None, Tensor]:
        """As of `CovariateBasis`."""
        lookback = given.past.shape[-2]
        context = self.encoder(given.channels(), given.mask).transpose(-1, -2)
        forecast = _weighted(context[..., lookback:, :], theta_forecast)
        if theta_backcast is None:
            return None, forecast
        return _weighted(context[..., :lookback, :], theta_backcast), forecast


def _weighted(vectors: Tensor, theta: Tensor) -> Tensor:
    """(..., L) of (..., L, K) and (..., K), in the vectors' own type: bf16 would round it to 0.4 %."""
    with torch.autocast(vectors.device.type, enabled=False):
        return torch.einsum("...tk,...k->...t", vectors, theta.to(vectors.dtype))


class CausalEncoder(nn.Module):
    """Dilated causal convolutions, the dilation doubling, each beside a direct way; then a projection.

    Places whose mask is 0 are kept 0, so that what stands before a window is as if it were not there.
    """

    def __init__(self, layers: Sequence["CausalConvolution"], output: "CausalConvolution") -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.output = output

    @classmethod
    def of(
        cls, channels: int, *, hidden_size: int, context_size: int, num_layers: int, kernel_size: int
    ) -> "CausalEncoder":
        layers = [
            CausalConvolution.of(channels if index == 0 else hidden_size, hidden_size, kernel_size, 2**index)
            for index in range(num_layers)
        ]
        return cls(layers, CausalConvolution.of(hidden_size, context_size, 1, 1))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """(..., K, L) of channels (..., C, L)."""
        mask = mask[..., None, :]
        hidden = values
        for layer in self.layers:
            after = torch.relu(layer(hidden)) * mask
            hidden = hidden + after if hidden.shape == after.shape else after
        context: Tensor = self.output(hidden)
        return context.to(values.dtype) * mask


class CausalConvolution(nn.Module):
    """A convolution that looks at a point and those before it; of `members` networks one each."""

    def __init__(self, weight: Tensor, bias: Tensor, *, dilation: int, members: int | None) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.dilation, self.members = dilation, members

    @classmethod
    def of(cls, inputs: int, outputs: int, kernel_size: int, dilation: int) -> "CausalConvolution":
        drawn = nn.Conv1d(inputs, outputs, kernel_size)
        assert drawn.bias is not None
        return cls(drawn.weight.detach(), drawn.bias.detach(), dilation=dilation, members=None)

    @classmethod
    def grouped(cls, alone: Sequence["CausalConvolution"]) -> "CausalConvolution":
        weight = torch.cat([one.weight.detach() for one in alone])
        bias = torch.cat([one.bias.detach() for one in alone])
        return cls(weight, bias, dilation=alone[0].dilation, members=len(alone))

    def forward(self, values: Tensor) -> Tensor:
        padded = pad(values, ((self.weight.shape[-1] - 1) * self.dilation, 0))
        if self.members is None:
            return conv1d(padded, self.weight, self.bias, dilation=self.dilation)
        beside = padded.transpose(0, 1).flatten(1, 2)
        made = conv1d(beside, self.weight, self.bias, dilation=self.dilation, groups=self.members)
        return made.reshape(len(made), self.members, -1, made.shape[-1]).transpose(0, 1)
