"""Pretraining objectives and the recipe that names one; `Objective` is the catalogue."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from seedbed.data import Masks, Rows
from seedbed.models import EncoderConfig
from seedbed.objectives.masked_lm import MaskedLM, MaskedLMConfig
from seedbed.objectives.next_sentence import NextSentence, NextSentenceConfig
from seedbed.objectives.replaced_token_detection import (
    ReplacedTokenDetection,
    ReplacedTokenDetectionConfig,
)
from seedbed.training import Training

Objective = Annotated[
    MaskedLMConfig | NextSentenceConfig | ReplacedTokenDetectionConfig, Field(discriminator="name")
]


class PretrainRecipe(Training):
    """An encoder, what it learns from which tokens, and how long."""

    tokens: str = Field(description="a tokenize run")
    encoder: EncoderConfig
    objective: Objective
    rows: Rows = Field(description="which tokens stand in a row")
    masks: Masks = Field(description="how often what is drawn for a row changes")
    max_valid_rows: int = Field(1024, ge=1, description="most rows of the valid split scored at a time")

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        if missing := sorted(self.objective.needs - self.rows.gives):
            raise ValueError(
                f"rows {self.rows.name} have no {missing[0]}, which objective {self.objective.name} needs; "
                "take rows segment_pairs"
            )
        if "token_type_ids" in self.rows.gives and self.encoder.num_token_types < 2:
            raise ValueError(
                f"rows {self.rows.name} have two token types, encoder.num_token_types is "
                f"{self.encoder.num_token_types}; take 2 of them, or rows full_sentences"
            )
        return self


__all__ = [
    "MaskedLM",
    "MaskedLMConfig",
    "NextSentence",
    "NextSentenceConfig",
    "Objective",
    "PretrainRecipe",
    "ReplacedTokenDetection",
    "ReplacedTokenDetectionConfig",
]
