"""GPT-1, GPT-2, GPT-Neo and GPT-J: the parts of each, side by side.

         norm               position  reads               feed-forward     first residual weights
GPT-1    after each sum     learned   all before          after attention  like all others
GPT-2    before each part   learned   all before          after attention  divided by sqrt(2 layers)
GPT-Neo  before each part   learned   also windows,       after attention  divided by sqrt(layers)
                                      scores unscaled
GPT-J    one for both       rotary    all before          beside it        2 / (layers sqrt(width))
"""

from collections.abc import Sequence
from math import sqrt
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import nn

from seedbed.fidelity import Deviation
from seedbed.models.causal_attention import CausalAttention, LocalAttention
from seedbed.models.decoder import DecoderConfig
from seedbed.models.layers import ParallelBlock, PostNormBlock
from seedbed.models.positions import Positions, RotaryPositions


class GPT1Config(DecoderConfig):
    """GPT (Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", 4.1)."""

    name: Literal["gpt1"]

    block = PostNormBlock
    final_norm = nn.Identity

    @model_validator(mode="after")
    def _check_width(self) -> Self:
        if self.intermediate_size != 4 * self.hidden_size:
            expected = 4 * self.hidden_size
            raise ValueError(
                f"intermediate_size {self.intermediate_size}, GPT-1 has 4 hidden_size, {expected}"
            )
        return self


class GPT2Config(DecoderConfig):
    """GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3)."""

    name: Literal["gpt2"]

    @property
    def residual_std(self) -> float:
        """By 1 / sqrt(N), N the number of residual layers: two for each block."""
        return self.initializer_range / sqrt(2 * self.num_layers)


class GPTNeoConfig(DecoderConfig):
    """GPT-Neo (Black et al. 2021, doi 10.5281/zenodo.5297715): a window in every other layer."""

    name: Literal["gpt_neo"]
    window: int = Field(256, ge=1, description="positions that a local layer reads, its own among them")
    pattern: tuple[Literal["global", "local"], ...] = Field(
        ("global", "local"), min_length=1, description="kinds of attention, repeated over the layers"
    )

    input_bias = False

    @model_validator(mode="after")
    def _check_pattern(self) -> Self:
        if self.num_layers % len(self.pattern):
            raise ValueError(
                f"num_layers {self.num_layers} does not divide by the {len(self.pattern)} layers of pattern"
            )
        return self

    def attentions(self) -> Sequence[CausalAttention]:
        """Queries and keys are compared as they are, without 1 / sqrt(size of a head)."""
        kinds = {"global": CausalAttention(scale=1.0), "local": LocalAttention(scale=1.0, size=self.window)}
        return [kinds[kind] for kind in self.pattern * (self.num_layers // len(self.pattern))]

    @property
    def residual_std(self) -> float:
        """`scale_by_depth` of the published configurations: one for each block."""
        return self.initializer_range / sqrt(self.num_layers)


class GPTJConfig(DecoderConfig):
    """GPT-J (Wang and Komatsuzaki 2021, github.com/kingoflolz/mesh-transformer-jax)."""

    name: Literal["gpt_j"]
    rotary_size: int = Field(64, ge=2, multiple_of=2, description="numbers of each head that are turned")

    block = ParallelBlock
    input_bias = False
    output_bias = False

    @model_validator(mode="after")
    def _check_rotary(self) -> Self:
        if self.rotary_size > self.head_size:
            raise ValueError(f"rotary_size {self.rotary_size} is more than a head has, {self.head_size}")
        return self

    def positions(self) -> Positions:
        return RotaryPositions(self.max_length, self.rotary_size)

    def output(self, vocabulary_size: int) -> nn.Linear:
        return nn.Linear(self.hidden_size, vocabulary_size)

    @property
    def residual_std(self) -> float:
        """`init_scale` of the published code."""
        return 2 / (self.num_layers * sqrt(self.hidden_size))


DEVIATIONS = (
    Deviation(
        system="GPT-1",
        theirs="A BPE of 40,000 merges over characters, on text that ftfy mended and spaCy split.",
        ours="Byte-level BPE as GPT-2's, learned on your corpus.",
        why="No text is unknown, Korean least of all.",
        source="Radford et al. 2018, section 4.1",
    ),
    Deviation(
        system="GPT-2",
        theirs="The released code draws the first position vectors at a standard deviation of 0.01.",
        ours="initializer_range, 0.02, as all other first weights that write to no residual stream.",
        why="The paper does not tell it, and transformers draws them so.",
        source="openai/gpt-2 src/model.py",
    ),
    Deviation(
        system="GPT-J",
        theirs="First weights are drawn at 1 / sqrt(inputs), those that write to the residual stream at "
        "2 / (layers sqrt(width)), all cut at two deviations.",
        ours="The former at initializer_range, 0.02, the latter as published, none of them cut.",
        why="transformers draws them so; at the published width 1 / sqrt(inputs) is 0.016.",
        source="kingoflolz/mesh-transformer-jax mesh_transformer/layers.py",
    ),
    Deviation(
        system="GPT-J",
        theirs="The angles of rotary positions are computed in fp64.",
        ours="In fp32, as transformers does.",
        why="The same logits as its class; at position 2,000 the angles are 7e-5 apart.",
        source="kingoflolz/mesh-transformer-jax mesh_transformer/layers.py",
    ),
    Deviation(
        system="GPT-J",
        theirs="A vocabulary of 50,257 tokens in matrices of 50,400 rows, to divide over 8 cores.",
        ours="As many rows as the tokenizer has tokens.",
        why="Rows that no token uses learn nothing but to be unlikely.",
        source="kingoflolz/mesh-transformer-jax configs/6B_roto_256.json",
    ),
)
