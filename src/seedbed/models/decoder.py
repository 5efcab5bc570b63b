"""One Transformer decoder for GPT-1, GPT-2, GPT-Neo and GPT-J, which differ in the parts that gpt.py names.

Shapes: B rows, L positions, N selected positions, D hidden size, H heads, K size of a head, V vocabulary.
"""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Protocol, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import Strict
from seedbed.models.cache import Cache
from seedbed.models.causal_attention import CausalAttention
from seedbed.models.dropout import drop
from seedbed.models.layers import Block, PreNormBlock, initialise
from seedbed.models.positions import LearnedPositions, Positions

gelu_tanh = partial(F.gelu, approximate="tanh")
"""Hendrycks and Gimpel 2016 (arXiv 1606.08415), the approximation by tanh that every GPT uses."""


class StreamVocabulary(Protocol):
    """The part of a tokenizer's vocabulary that a decoder is built from."""

    @property
    def size(self) -> int: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def sep_id(self) -> int:
        """Stands between documents, and so ends one: end-of-text."""
        ...


class DecoderConfig(Strict):
    """The sizes of a decoder, and of its parts those of GPT-2; the families of gpt.py change them.

    Sizes that data decides (the vocabulary) are not here.
    """

    hidden_size: int = Field(ge=1)
    intermediate_size: int = Field(ge=1, description="width of the feed-forward part")
    num_layers: int = Field(ge=1)
    num_heads: int = Field(ge=1)
    max_length: int = Field(ge=2, description="positions of a row")
    embedding_dropout: float = Field(0.1, ge=0, lt=1)
    dropout: float = Field(0.1, ge=0, lt=1, description="of what each part adds")
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    norm_eps: float = Field(1e-5, gt=0)
    initializer_range: float = Field(0.02, gt=0, description="standard deviation of the first weights")

    block: ClassVar[type[Block]] = PreNormBlock
    final_norm: ClassVar[type[nn.Module]] = nn.LayerNorm
    input_bias: ClassVar[bool] = True
    output_bias: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} does not divide by num_heads {self.num_heads}")
        return self

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_heads

    @property
    def residual_std(self) -> float:
        """Standard deviation of the first weights of what writes to the residual stream."""
        return self.initializer_range

    def attentions(self) -> Sequence[CausalAttention]:
        """What each layer reads."""
        return [CausalAttention(scale=self.head_size**-0.5)] * self.num_layers

    def positions(self) -> Positions:
        return LearnedPositions(self.max_length, self.hidden_size)

    def output(self, vocabulary_size: int) -> nn.Linear | None:
        """The output matrix, where it is not that of the token embeddings."""
        return None

    def build(self, vocabulary: StreamVocabulary, *, seed: int = 0) -> "Decoder":
        """A new decoder, its weights a function of `seed` alone."""
        decoder = Decoder(
            self, vocabulary_size=vocabulary.size, end_id=vocabulary.sep_id, pad_id=vocabulary.pad_id
        )
        initialise(
            decoder,
            std=self.initializer_range,
            truncated=False,
            generator=torch.Generator().manual_seed(seed),
        )
        with torch.no_grad():
            for block in decoder.layers():
                for last in (block.attention_out, block.feed_forward_out):
                    last.weight.mul_(self.residual_std / self.initializer_range)
        return decoder


class Decoder(nn.Module):
    """Token ids to one vector per position, which knows no later token, and to logits.

    Weights are torch's defaults until filled: see `DecoderConfig.build`.
    """

    def __init__(
        self,
        config: DecoderConfig,
        *,
        vocabulary_size: int,
        end_id: int | None = None,
        pad_id: int | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.end_id, self.pad_id = end_id, pad_id
        self.token = nn.Embedding(vocabulary_size, config.hidden_size)
        self.positions = config.positions()
        self.blocks = nn.ModuleList(
            config.block(
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_heads=config.num_heads,
                norm_eps=config.norm_eps,
                dropout=config.dropout,
                activation=gelu_tanh,
                input_bias=config.input_bias,
                output_bias=config.output_bias,
            )
            for _ in range(config.num_layers)
        )
        self.norm = config.final_norm(config.hidden_size, eps=config.norm_eps)
        self.output = config.output(vocabulary_size)
        self._attentions = config.attentions()

    def forward(
        self, input_ids_BL: Tensor, *, cache: Cache | None = None, selected_N: Tensor | None = None
    ) -> Tensor:
        """hidden_BLD; with `selected_N` (indices into B*L) only those positions, as hidden_ND.

        With a cache the rows go on where it ends, and it takes them in. Padding at the end of a row needs
        no mask: no real token reads it.
        """
        first = 0 if cache is None else cache.length
        length = input_ids_BL.shape[1]
        assert first + length <= self.config.max_length, (
            f"rows of {first + length} positions, the decoder has {self.config.max_length}"
        )
        hidden = self.positions.embed(self.token(input_ids_BL), first)
        hidden = drop(hidden, self.config.embedding_dropout, self.training)
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            attend = partial(self._attend, layer=layer, first=first, cache=cache)
            hidden = block(hidden, attend, selected_N=selected_N if layer == last else None)
        if cache is not None:
            cache.length += length
        normed: Tensor = self.norm(hidden)
        return normed

    def _attend(
        self,
        query_BHQK: Tensor,
        key_BHQK: Tensor,
        value_BHQK: Tensor,
        *,
        layer: int,
        first: int,
        cache: Cache | None,
    ) -> Tensor:
        query_BHQK, key_BHQK = self.positions.turn(query_BHQK, first), self.positions.turn(key_BHQK, first)
        if cache is not None:
            key_BHQK, value_BHQK = cache.extend(layer, key_BHQK, value_BHQK)
        dropout = self.config.attention_dropout if self.training else 0.0
        return self._attentions[layer](query_BHQK, key_BHQK, value_BHQK, dropout=dropout)

    def cache(self, num_rows: int, *, capacity: int | None = None) -> Cache:
        """An empty cache for `num_rows` rows of `capacity` tokens, by default of `max_length`."""
        return Cache(
            num_layers=self.config.num_layers,
            num_rows=num_rows,
            num_heads=self.config.num_heads,
            capacity=self.config.max_length if capacity is None else capacity,
            head_size=self.config.head_size,
            like=self.token.weight,
        )

    def output_weights(self) -> tuple[Tensor, Tensor]:
        """weight_VD and bias_V of the logits."""
        if self.output is None:
            return self.token.weight, self.token.weight.new_zeros(self.vocabulary_size)
        return self.output.weight, self.output.bias

    def logits(self, hidden: Tensor) -> Tensor:
        """logits_BLV or logits_NV; training never holds them all, see vocabulary_loss."""
        return F.linear(hidden, *self.output_weights())

    def layers(self) -> list[Block]:
        """The blocks, first to last."""
        return [block for block in self.blocks if isinstance(block, Block)]
