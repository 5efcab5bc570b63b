"""Pretraining objectives and the recipe that names one; `Objective` is the catalogue."""

from typing import Annotated

from pydantic import Field

from seedbed.models import EncoderConfig
from seedbed.objectives.masked_lm import MaskedLM, MaskedLMConfig
from seedbed.objectives.replaced_token_detection import (
    ReplacedTokenDetection,
    ReplacedTokenDetectionConfig,
)
from seedbed.training import Training

Objective = Annotated[MaskedLMConfig | ReplacedTokenDetectionConfig, Field(discriminator="name")]


class PretrainRecipe(Training):
    """An encoder, what it learns from which tokens, and how long."""

    tokens: str = Field(description="a tokenize run")
    encoder: EncoderConfig
    objective: Objective
    max_valid_rows: int = Field(1024, ge=1, description="most rows of the valid split scored at a time")


__all__ = [
    "MaskedLM",
    "MaskedLMConfig",
    "Objective",
    "PretrainRecipe",
    "ReplacedTokenDetection",
    "ReplacedTokenDetectionConfig",
]
