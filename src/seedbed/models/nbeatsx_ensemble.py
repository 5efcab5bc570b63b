"""Members of NBEATSx that are computed as one network, as those of N-BEATS are (`nbeats_ensemble`).

They differ in lookback and weights alone: shorter ones stand at the end of the windows, before them zeros.
Shapes: M members.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import nn

from seedbed.models.exogenous import CausalConvolution, CausalEncoder, ContextBasis, CovariateBasis, Scaled
from seedbed.models.nbeats_ensemble import group_maps
from seedbed.models.nbeatsx import ExogenousBlock, ExogenousStack, NBEATSx, TimeBasis

Kind = TypeVar("Kind", bound=nn.Module)


def grouped(networks: Sequence[NBEATSx], *, lookback: int | None = None) -> NBEATSx:
    """The given networks, which differ in lookback and weights alone, as one; they are copied.

    `lookback`: of the windows it gets, if they are longer than any network's.
    """
    longest = lookback or max(network.lookback for network in networks)
    horizon, scaled = networks[0].horizon, networks[0].scaled
    past, future, static = (facts.shape[-1] for facts in (scaled.past, scaled.future, scaled.static))
    inputs = longest * (past + future) + horizon * future + static
    stacks = []
    for place in range(len(networks[0].stacks)):
        same = _each(ExogenousStack, [network.stacks[place] for network in networks])
        own = [_each(ExogenousBlock, stack.blocks) for stack in same]
        blocks = [_group_blocks(one, longest, horizon, inputs) for one in zip(*own, strict=True)]
        stacks.append(ExogenousStack(blocks, passes=same[0].passes))
    facts = {
        kind: torch.stack([getattr(network.scaled, kind) for network in networks])
        for kind in ("past", "future", "static")
    }
    first_M1 = torch.tensor([[longest - network.lookback] for network in networks])
    return NBEATSx(
        stacks,
        scaled=Scaled(facts, scaling=scaled.scaling),
        lookback=longest,
        horizon=horizon,
        seen=(torch.arange(longest + horizon) >= first_M1)[:, None],
    )


def _group_blocks(
    blocks: Sequence[ExogenousBlock], lookback: int, horizon: int, inputs: int
) -> ExogenousBlock:
    layers = [list(block.layers) for block in blocks]
    width, size = (
        _linear(blocks[0].theta_forecast).in_features,
        _linear(blocks[0].theta_forecast).out_features,
    )
    thetas = [block.theta_backcast for block in blocks]
    basis = _group_bases([block.basis for block in blocks], lookback, horizon)
    return ExogenousBlock(
        basis,
        layers=[
            group_maps(
                [own[place] for own in layers], inputs=lookback if place == 0 else width, outputs=width
            )
            for place in range(len(layers[0]))
        ],
        covariates=group_maps([block.covariates for block in blocks], inputs=inputs, outputs=width),
        theta_backcast=None
        if thetas[0] is None
        else group_maps(thetas, inputs=width, outputs=_linear(thetas[0]).out_features),
        theta_forecast=group_maps([block.theta_forecast for block in blocks], inputs=width, outputs=size),
    )


def _group_bases(bases: Sequence[nn.Module], lookback: int, horizon: int) -> nn.Module:
    first = bases[0]
    if isinstance(first, CovariateBasis):
        return CovariateBasis()
    if isinstance(first, ContextBasis):
        encoders = [basis.encoder for basis in _each(ContextBasis, bases)]
        layers = zip(*(_each(CausalConvolution, one.layers) for one in encoders), strict=True)
        return ContextBasis(
            CausalEncoder(
                [CausalConvolution.grouped(same) for same in layers],
                CausalConvolution.grouped([one.output for one in encoders]),
            )
        )
    times = _each(TimeBasis, bases)
    size = first.forecast.in_features if isinstance(first.forecast, nn.Linear) else 0
    backcasts = [basis.backcast for basis in times]
    return TimeBasis(
        None if backcasts[0] is None else group_maps(backcasts, inputs=size, outputs=lookback),
        group_maps([basis.forecast for basis in times], inputs=size, outputs=horizon),
    )


def _each(kind: type[Kind], modules: Iterable[nn.Module]) -> list[Kind]:
    found = []
    for module in modules:
        assert isinstance(module, kind)
        found.append(module)
    return found


def _linear(module: nn.Module) -> nn.Linear:
    assert isinstance(module, nn.Linear)
    return module
