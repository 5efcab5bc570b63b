"""What an ensemble needs to see covariates: their facts, its members, and the covariates of its windows."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from seedbed.config import UserError
from seedbed.forecasting.ensembling import Member
from seedbed.forecasting.panels import SeriesSet
from seedbed.learner import Batch
from seedbed.models.exogenous import Exogenous
from seedbed.models.nbeats import NBEATSConfig
from seedbed.models.nbeats_ensemble import NBEATSEnsemble
from seedbed.models.nbeatsx import NBEATSx, NBEATSxConfig
from seedbed.models.nbeatsx_ensemble import grouped

Facts = Mapping[str, Tensor]
"""Of each kind of covariate (3, C): mean, deviation, largest absolute value."""
KINDS = ("past", "future", "static")
SAVED = "members.scaled."
"""Where an ensemble's weights keep the facts, the same for each member."""


def facts_of(series: SeriesSet) -> Facts | None:
    """Of what stands beside the points of `series`; None without covariates."""
    if series.covariates is None:
        return None
    facts = series.covariates.facts(series.offsets)
    return {kind: torch.from_numpy(values).float() for kind, values in facts.items()}


def facts_in(weights: Mapping[str, Tensor]) -> Facts | None:
    """Those that an ensemble was fitted with."""
    if SAVED + "past" not in weights:
        return None
    return {kind: weights[SAVED + kind][0] for kind in KINDS}


def build_members(
    model: NBEATSConfig | NBEATSxConfig,
    plan: Sequence[Member],
    *,
    horizon: int,
    lookback: int,
    facts: Facts | None,
) -> NBEATSEnsemble | NBEATSx:
    """The networks of `plan` as one, on windows of `lookback`."""
    if model.name == "nbeats":
        networks = [model.build(lookback=one.lookback, horizon=horizon, seed=one.seed) for one in plan]
        return NBEATSEnsemble(networks, lookback=lookback)
    if facts is None:
        raise UserError(
            "forecaster.model nbeatsx takes covariates and the series have none; name them in the panel's "
            "covariates, or take a model that needs none (nbeats)"
        )
    return grouped(
        [model.build(lookback=one.lookback, horizon=horizon, seed=one.seed, facts=facts) for one in plan],
        lookback=lookback,
    )


def shares(
    members: NBEATSEnsemble | NBEATSx,
    window_MBT: Tensor,
    mask_MBT: Tensor,
    batch: Batch,
    of_members: Callable[[Tensor, int], Tensor],
) -> Tensor:
    """(S, M, B, H): each stack's; `of_members` gives each member its windows, of so many dimensions alone."""
    if isinstance(members, NBEATSEnsemble):
        return members.components(window_MBT, mask_MBT)
    length = members.lookback + members.horizon
    given = Exogenous(
        of_members(batch["past"], 3)[..., -members.lookback :, :],
        of_members(batch["future"], 3)[..., -length:, :],
        of_members(batch["static"], 2),
        of_members(batch["covariate_mask"], 2)[..., -length:],
    )
    return members.components(window_MBT, mask_MBT, given)
