"""Pretraining objectives and the recipe that names one; `Objective` is the catalogue."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from seedbed.models import DecoderConfig, DecoderFamily, EncoderConfig
from seedbed.objectives.causal_lm import CausalLM, CausalLMConfig
from seedbed.objectives.masked_lm import MaskedLM, MaskedLMConfig
from seedbed.objectives.replaced_token_detection import (
    ReplacedTokenDetection,
    ReplacedTokenDetectionConfig,
)
from seedbed.tokenization import Vocabulary
from seedbed.training import Training

Objective = Annotated[
    CausalLMConfig | MaskedLMConfig | ReplacedTokenDetectionConfig, Field(discriminator="name")
]


class PretrainRecipe(Training):
    """An encoder or a decoder, what it learns from which tokens, and how long."""

    tokens: str = Field(description="a tokenize run")
    encoder: EncoderConfig | None = Field(None, description="the network, for objectives that train one")
    decoder: DecoderFamily | None = Field(None, description="the network, for objective causal_lm")
    objective: Objective
    max_valid_rows: int = Field(1024, ge=1, description="most rows of the valid split scored at a time")

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        given = [name for name in ("encoder", "decoder") if getattr(self, name) is not None]
        if given != [self.objective.network]:
            raise ValueError(
                f"objective {self.objective.name} trains one {self.objective.network}, given are "
                f"{' and '.join(given) or 'none'}; give {self.objective.network} and nothing else"
            )
        return self

    @property
    def network(self) -> EncoderConfig | DecoderConfig:
        """What is trained."""
        network = self.encoder or self.decoder
        assert network is not None
        return network

    def build(self, vocabulary: Vocabulary) -> MaskedLM | ReplacedTokenDetection | CausalLM:
        """A new Learner, its weights a function of `seed` alone."""
        if isinstance(self.objective, CausalLMConfig):
            assert self.decoder is not None
            return self.objective.build(self.decoder, vocabulary, seed=self.seed)
        assert self.encoder is not None
        return self.objective.build(self.encoder, vocabulary, seed=self.seed)


__all__ = [
    "CausalLM",
    "CausalLMConfig",
    "MaskedLM",
    "MaskedLMConfig",
    "Objective",
    "PretrainRecipe",
    "ReplacedTokenDetection",
    "ReplacedTokenDetectionConfig",
]
