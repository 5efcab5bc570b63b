"""Pretraining objectives and the recipe that names one; `Objective` is the catalogue."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from seedbed.data import Masks, Rows
from seedbed.models import DecoderConfig, DecoderFamily, ElmoConfig, EncoderConfig
from seedbed.objectives.bidirectional_lm import BidirectionalLM, BidirectionalLMConfig
from seedbed.objectives.causal_lm import CausalLM, CausalLMConfig
from seedbed.objectives.masked_lm import MaskedLM, MaskedLMConfig
from seedbed.objectives.next_sentence import NextSentence, NextSentenceConfig
from seedbed.objectives.replaced_token_detection import (
    ReplacedTokenDetection,
    ReplacedTokenDetectionConfig,
)
from seedbed.tokenization import Vocabulary
from seedbed.training import Training

Objective = Annotated[
    BidirectionalLMConfig
    | CausalLMConfig
    | MaskedLMConfig
    | NextSentenceConfig
    | ReplacedTokenDetectionConfig,
    Field(discriminator="name"),
]


class PretrainRecipe(Training):
    """A network, what it learns from which tokens, and how long."""

    tokens: str = Field(description="a tokenize run")
    encoder: EncoderConfig | None = Field(None, description="the network, for objectives that train one")
    decoder: DecoderFamily | None = Field(None, description="the network, for objective causal_lm")
    elmo: ElmoConfig | None = Field(None, description="the network, for objective bidirectional_lm")
    objective: Objective
    rows: Rows = Field(description="which tokens stand in a row")
    masks: Masks = Field(description="how often what is drawn for a row changes")
    max_valid_rows: int = Field(1024, ge=1, description="most rows of the valid split scored at a time")

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        given = [name for name in ("encoder", "decoder", "elmo") if getattr(self, name) is not None]
        if given != [self.objective.network]:
            raise ValueError(
                f"objective {self.objective.name} trains one {self.objective.network}, given are "
                f"{' and '.join(given) or 'none'}; give {self.objective.network} and nothing else"
            )
        return self

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        if missing := sorted(self.objective.needs - self.rows.gives):
            raise ValueError(
                f"rows {self.rows.name} have no {missing[0]}, which objective {self.objective.name} needs; "
                f"take rows {'stream' if missing == ['labels'] else 'segment_pairs'}"
            )
        if "labels" in self.rows.gives - self.objective.needs:
            raise ValueError(
                f"rows {self.rows.name} hold what follows each token, objective {self.objective.name} makes "
                "labels of its own; take rows full_sentences"
            )
        if self.encoder and "token_type_ids" in self.rows.gives and self.encoder.num_token_types < 2:
            raise ValueError(
                f"rows {self.rows.name} have two token types, encoder.num_token_types is "
                f"{self.encoder.num_token_types}; take 2 of them, or rows full_sentences"
            )
        return self

    @property
    def network(self) -> EncoderConfig | DecoderConfig | ElmoConfig:
        """What is trained."""
        network = self.encoder or self.decoder or self.elmo
        assert network is not None
        return network

    def build(
        self, vocabulary: Vocabulary
    ) -> BidirectionalLM | CausalLM | MaskedLM | NextSentence | ReplacedTokenDetection:
        """A new Learner, its weights a function of `seed` alone."""
        if isinstance(self.objective, BidirectionalLMConfig):
            assert self.elmo is not None
            return self.objective.build(self.elmo, vocabulary, seed=self.seed)
        if isinstance(self.objective, CausalLMConfig):
            assert self.decoder is not None
            return self.objective.build(self.decoder, vocabulary, seed=self.seed)
        assert self.encoder is not None
        return self.objective.build(self.encoder, vocabulary, seed=self.seed)


__all__ = [
    "BidirectionalLM",
    "BidirectionalLMConfig",
    "CausalLM",
    "CausalLMConfig",
    "MaskedLM",
    "MaskedLMConfig",
    "NextSentence",
    "NextSentenceConfig",
    "Objective",
    "PretrainRecipe",
    "ReplacedTokenDetection",
    "ReplacedTokenDetectionConfig",
]
