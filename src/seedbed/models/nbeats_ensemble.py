"""Many N-BEATS networks computed at once: their matrices stacked, one batched product for each layer.

Members may look back differently far: all windows are as long as the longest, and a shorter member's
inputs and outputs stand at their end, before them zeros that its mask keeps zero. The weights there are
zero and never get a gradient other than zero, so each member computes what it would compute alone.

Shape legend: M members, B windows, T longest lookback, H horizon, I inputs, O outputs, K coefficients
(theta), S stacks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seedbed.models.nbeats import NBEATS, Block, FixedVectors, Stack


class GroupedLinear(nn.Module):
    """One linear map for each member.

    The biases are one long vector, for what has one dimension is spared by weight decay.
    """

    bias: nn.Parameter | None

    def __init__(self, maps: Sequence[nn.Linear], *, inputs: int, outputs: int) -> None:
        super().__init__()
        weight_MIO = maps[0].weight.new_zeros(len(maps), inputs, outputs)
        bias_MO = maps[0].weight.new_zeros(len(maps), outputs)
        for index, one in enumerate(maps):
            weight_MIO[index, -one.in_features :, -one.out_features :] = one.weight.detach().T
            if one.bias is not None:
                bias_MO[index, -one.out_features :] = one.bias.detach()
        self.weight = nn.Parameter(weight_MIO)
        self.bias = None if maps[0].bias is None else nn.Parameter(bias_MO.flatten())

    def forward(self, values_MBI: Tensor) -> Tensor:
        if self.bias is None:
            return torch.bmm(values_MBI, self.weight)
        return torch.baddbmm(self.bias.view(len(self.weight), 1, -1), values_MBI, self.weight)


class GroupedVectors(nn.Module):
    """The members' given functions of time; nothing is learned, so nothing is saved."""

    vectors_MKT: Tensor

    def __init__(self, given: Sequence[FixedVectors], *, outputs: int) -> None:
        super().__init__()
        first_KT = given[0].vectors_KT
        vectors_MKT = first_KT.new_zeros(len(given), len(first_KT), outputs)
        for index, one in enumerate(given):
            vectors_MKT[index, :, -one.vectors_KT.shape[1] :] = one.vectors_KT
        self.register_buffer("vectors_MKT", vectors_MKT, persistent=False)

    def forward(self, theta_MBK: Tensor) -> Tensor:
        return torch.bmm(theta_MBK, self.vectors_MKT)


class GroupedBlock(nn.Module):
    """A block of every member (`Block`, computed for all at once).

    Bases are applied in the weights' own type under autocast too: bf16 would round a forecast to 0.4 %.
    """

    def __init__(self, blocks: Sequence[Block], *, lookback: int, horizon: int) -> None:
        super().__init__()
        layers = [list(block.layers) for block in blocks]
        width = blocks[0].theta_forecast.in_features
        self.layers = nn.ModuleList(
            group_maps(
                [own[place] for own in layers], inputs=lookback if place == 0 else width, outputs=width
            )
            for place in range(len(layers[0]))
        )
        size = blocks[0].theta_forecast.out_features
        self.theta_forecast = group_maps(
            [block.theta_forecast for block in blocks], inputs=width, outputs=size
        )
        self.forecast = group_maps([block.forecast for block in blocks], inputs=size, outputs=horizon)
        self.theta_backcast: nn.Module | None = None
        self.backcast: nn.Module | None = None
        if blocks[0].theta_backcast is not None:
            thetas = [block.theta_backcast for block in blocks]
            self.theta_backcast = group_maps(thetas, inputs=width, outputs=size)
            self.backcast = group_maps([block.backcast for block in blocks], inputs=size, outputs=lookback)

    def forward(self, insample_MBT: Tensor) -> tuple[Tensor | None, Tensor]:
        """The backcast (M, B, T), None in the last block, and the forecast (M, B, H)."""
        hidden_MBO = insample_MBT
        for layer in self.layers:
            hidden_MBO = layer(hidden_MBO).relu_()
        forecast_MBH = expand(self.forecast, self.theta_forecast(hidden_MBO), insample_MBT)
        if self.theta_backcast is None or self.backcast is None:
            return None, forecast_MBH
        return expand(self.backcast, self.theta_backcast(hidden_MBO), insample_MBT), forecast_MBH


class GroupedStack(nn.Module):
    """A stack of every member (`Stack`, computed for all at once)."""

    def __init__(self, stacks: Sequence[Stack], *, lookback: int, horizon: int) -> None:
        super().__init__()
        self.passes = stacks[0].passes
        blocks: list[list[Block]] = []
        for stack in stacks:
            own = [block for block in stack.blocks if isinstance(block, Block)]
            assert len(own) == len(stack.blocks)
            blocks.append(own)
        self.blocks = nn.ModuleList(
            GroupedBlock(same, lookback=lookback, horizon=horizon) for same in zip(*blocks, strict=True)
        )

    def forward(self, residual_MBT: Tensor, mask_MBT: Tensor) -> tuple[Tensor, Tensor]:
        """What is left of the windows, and this stack's share of the forecasts."""
        forecasts = []
        for block in self.blocks:
            for _ in range(self.passes):
                backcast_MBT, forecast_MBH = block(residual_MBT)
                if backcast_MBT is not None:
                    residual_MBT = (residual_MBT - backcast_MBT) * mask_MBT
                forecasts.append(forecast_MBH)
        return residual_MBT, torch.stack(forecasts).sum(0)


class NBEATSEnsemble(nn.Module):
    """The given networks, which differ in lookback and weights alone, as one; they are copied.

    `lookback`: of the windows it gets, if they are longer than any network's.
    """

    seen_MT: Tensor

    def __init__(self, networks: Sequence[NBEATS], *, lookback: int | None = None) -> None:
        super().__init__()
        self.lookback = lookback or max(network.lookback for network in networks)
        self.horizon = networks[0].horizon
        self.stacks = nn.ModuleList()
        for place in range(len(networks[0].stacks)):
            same = [network.stacks[place] for network in networks]
            stacks = [stack for stack in same if isinstance(stack, Stack)]
            assert len(stacks) == len(same)
            self.stacks.append(GroupedStack(stacks, lookback=self.lookback, horizon=self.horizon))
        lookbacks_M1 = torch.tensor([[network.lookback] for network in networks])
        seen_MT = torch.arange(self.lookback) >= self.lookback - lookbacks_M1
        self.register_buffer("seen_MT", seen_MT.to(torch.get_default_dtype()), persistent=False)

    def __len__(self) -> int:
        return len(self.seen_MT)

    def components(self, insample_MBT: Tensor, mask_MBT: Tensor) -> Tensor:
        """Each stack's share of the forecasts, shape (S, M, B, H)."""
        mask_MBT = mask_MBT * self.seen_MT[:, None]
        residual_MBT = insample_MBT * mask_MBT
        shares = []
        for stack in self.stacks:
            residual_MBT, forecast_MBH = stack(residual_MBT, mask_MBT)
            shares.append(forecast_MBH)
        return torch.stack(shares)

    def forward(self, insample_MBT: Tensor, mask_MBT: Tensor) -> Tensor:
        """The forecasts (M, B, H): the sum of `components`."""
        return self.components(insample_MBT, mask_MBT).sum(0)


def group_maps(modules: Sequence[nn.Module | None], *, inputs: int, outputs: int) -> nn.Module:
    linear = [module for module in modules if isinstance(module, nn.Linear)]
    if linear:
        assert len(linear) == len(modules)
        return GroupedLinear(linear, inputs=inputs, outputs=outputs)
    fixed = [module for module in modules if isinstance(module, FixedVectors)]
    assert len(fixed) == len(modules), "a basis is linear or fixed"
    return GroupedVectors(fixed, outputs=outputs)


def expand(basis: nn.Module, theta_MBK: Tensor, like: Tensor) -> Tensor:
    with torch.autocast(like.device.type, enabled=False):
        expanded: Tensor = basis(theta_MBK.to(like.dtype))
        return expanded
