"""Pretraining objectives; `Objective` is the catalogue."""

from typing import Annotated

from pydantic import Field

from seedbed.objectives.masked_lm import MaskedLM, MaskedLMConfig
from seedbed.objectives.replaced_token_detection import (
    ReplacedTokenDetection,
    ReplacedTokenDetectionConfig,
)

Objective = Annotated[MaskedLMConfig | ReplacedTokenDetectionConfig, Field(discriminator="name")]

__all__ = [
    "MaskedLM",
    "MaskedLMConfig",
    "Objective",
    "ReplacedTokenDetection",
    "ReplacedTokenDetectionConfig",
]
