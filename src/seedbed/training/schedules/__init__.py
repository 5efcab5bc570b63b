"""Learning-rate schedules: pure functions of the step; `Schedule` is the catalogue."""

from typing import Annotated

from pydantic import Field

from seedbed.training.schedules.base import History
from seedbed.training.schedules.cycles import CosineRestartsConfig, OneCycleConfig
from seedbed.training.schedules.plateau import PlateauConfig
from seedbed.training.schedules.slanted_triangular import SlantedTriangularConfig
from seedbed.training.schedules.smooth import (
    ConstantConfig,
    CosineConfig,
    ExponentialConfig,
    InverseSqrtConfig,
    LinearConfig,
    PolynomialConfig,
)
from seedbed.training.schedules.stepwise import MultiStepConfig, StepConfig, StepsConfig
from seedbed.training.schedules.warmup import FlatWarmupConfig, GradualWarmupConfig
from seedbed.training.schedules.warmup_stable_decay import WarmupStableDecayConfig

Schedule = Annotated[
    ConstantConfig
    | LinearConfig
    | PolynomialConfig
    | CosineConfig
    | CosineRestartsConfig
    | InverseSqrtConfig
    | ExponentialConfig
    | StepConfig
    | MultiStepConfig
    | StepsConfig
    | OneCycleConfig
    | SlantedTriangularConfig
    | WarmupStableDecayConfig
    | PlateauConfig,
    Field(discriminator="name"),
]

__all__ = [
    "ConstantConfig",
    "CosineConfig",
    "CosineRestartsConfig",
    "ExponentialConfig",
    "FlatWarmupConfig",
    "GradualWarmupConfig",
    "History",
    "InverseSqrtConfig",
    "LinearConfig",
    "MultiStepConfig",
    "OneCycleConfig",
    "PlateauConfig",
    "PolynomialConfig",
    "Schedule",
    "SlantedTriangularConfig",
    "StepConfig",
    "StepsConfig",
    "WarmupStableDecayConfig",
]
