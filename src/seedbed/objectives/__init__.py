"""Pretraining objectives and the recipe that names one; `Objective` is the catalogue."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from seedbed.data import Masks, RowLength, Rows
from seedbed.models import DecoderConfig, DecoderFamily, ElmoConfig, EncoderConfig
from seedbed.objectives.bidirectional_lm import BidirectionalLM, BidirectionalLMConfig
from seedbed.objectives.causal_lm import CausalLM, CausalLMConfig
from seedbed.objectives.masked_lm import MaskedLM, MaskedLMConfig
from seedbed.objectives.next_sentence import NextSentence, NextSentenceConfig
from seedbed.objectives.replaced_token_detection import (
    ReplacedTokenDetection,
    ReplacedTokenDetectionConfig,
)
from seedbed.objectives.start import Place, Pretraining, Start
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
    start: Start | None = Field(
        None, description="folders of the first weights; the network is then the checkpoint's"
    )
    rows: Rows = Field(description="which tokens stand in a row")
    row_lengths: tuple[RowLength, ...] = Field(
        (), description="stretches of steps with shorter rows; empty: every row has max_length tokens"
    )
    masks: Masks = Field(description="how often what is drawn for a row changes")
    max_valid_rows: int = Field(1024, ge=1, description="most rows of the valid split scored at a time")

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        given = [name for name in ("encoder", "decoder", "elmo") if getattr(self, name) is not None]
        if self.start is not None and self.objective.network == "elmo":
            raise ValueError("start is for encoders and decoders, an ELMo begins anew; leave start out")
        if not given and self.start is not None and self.start.checkpoint is not None:
            return self
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

    @model_validator(mode="after")
    def _check_row_lengths(self) -> Self:
        if self.row_lengths and abs(sum(one.share for one in self.row_lengths) - 1) > 1e-9:
            total = sum(one.share for one in self.row_lengths)
            raise ValueError(f"the shares of row_lengths are {total:g} together; make them 1")
        network = self.encoder or self.decoder or self.elmo
        longest = max((one.tokens for one in self.row_lengths), default=0)
        if network is not None and longest > network.max_length:
            raise ValueError(
                f"row_lengths has rows of {longest} tokens, the network has {network.max_length} positions; "
                "shorten the rows or raise max_length"
            )
        return self

    @property
    def network(self) -> EncoderConfig | DecoderConfig | ElmoConfig:
        """What is trained."""
        network = self.encoder or self.decoder or self.elmo
        assert network is not None
        return network

    def resolve(self, place: Place) -> Self:
        """The recipe with the network that its checkpoint's config.json tells; `place` finds its folder."""
        if self.start is None:
            return self
        kind = self.objective.network
        network = self.start.network(getattr(self, kind), kind=kind, place=place)
        # checked again: rows must fit the checkpoint's positions
        dumped = self.model_dump(mode="json") | {kind: network and network.model_dump(mode="json")}
        return self.parse(dumped, where="start")

    def begin(self, vocabulary: Vocabulary, *, place: Place, tokenizer_folder: Path) -> Pretraining:
        """The Learner before its first step: new, or as `start` says. The recipe is resolved."""
        if self.start is None:
            return self.build(vocabulary)
        return self.start.build(self.build, vocabulary, place=place, tokenizer_folder=tokenizer_folder)

    def build(self, vocabulary: Vocabulary) -> Pretraining:
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
    "Start",
]
