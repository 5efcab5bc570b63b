"""Optimizers; `Optimizer` is the catalogue."""

from typing import Annotated

from pydantic import Field

from seedbed.training.optim.adam import AdamConfig, AdamWConfig
from seedbed.training.optim.adaptive import AdagradConfig, RMSpropConfig
from seedbed.training.optim.base import LayerDecay, place_step_counts, set_learning_rates
from seedbed.training.optim.gradient_descent import SGDConfig
from seedbed.training.optim.lamb import LAMBConfig
from seedbed.training.optim.muon import MuonConfig

Optimizer = Annotated[
    AdamWConfig | AdamConfig | SGDConfig | AdagradConfig | RMSpropConfig | LAMBConfig | MuonConfig,
    Field(discriminator="name"),
]

__all__ = [
    "AdagradConfig",
    "AdamConfig",
    "AdamWConfig",
    "LAMBConfig",
    "LayerDecay",
    "MuonConfig",
    "Optimizer",
    "RMSpropConfig",
    "SGDConfig",
    "place_step_counts",
    "set_learning_rates",
]
