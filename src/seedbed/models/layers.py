"""The parts of a Transformer, Vaswani et al. 2017 (arXiv 1706.03762), as encoders and decoders arrange them.

Shapes: B rows, L positions, N selected positions, D hidden size, E embedding size, F feed-forward size,
H heads, K size of a head.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.learner import Repeated
from seedbed.models.dropout import drop

Activation = Callable[[Tensor], Tensor]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(query_BHLK, key_BHLK, value_BHLK) -> context_BLD, heads side by side."""


class Embeddings(nn.Module):
    """Token + position + token type, then norm and dropout (BERT, arXiv 1810.04805, section 3).

    `position_offset` is RoBERTa's: positions begin at pad_id + 1, and padding has position pad_id.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        pad_id: int,
        size: int,
        max_length: int,
        num_token_types: int,
        position_offset: int,
        norm_eps: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.pad_id = pad_id
        self.position_offset = position_offset
        self.max_length = max_length
        self.dropout = dropout
        self.token = nn.Embedding(vocabulary_size, size, padding_idx=pad_id)
        self.position = nn.Embedding(
            max_length + position_offset, size, padding_idx=pad_id if position_offset else None
        )
        self.token_type = nn.Embedding(num_token_types, size)
        self.norm = nn.LayerNorm(size, eps=norm_eps)

    def forward(
        self,
        input_ids_BL: Tensor,
        *,
        padded: bool,
        token_type_ids_BL: Tensor | None = None,
        positions_BL: Tensor | None = None,
    ) -> Tensor:
        """`positions_BL` counts from 0; without it rows are counted through, but for padding."""
        length = input_ids_BL.shape[1]
        fits = positions_BL is not None or length <= self.max_length
        assert fits, f"rows of {length} positions, the encoder has {self.max_length}"
        if positions_BL is not None:
            added = self.position(positions_BL + self.position_offset)
        elif padded and self.position_offset:
            real_BL = input_ids_BL != self.pad_id
            positions_BL = real_BL.cumsum(1) * real_BL + self.pad_id
            added = self.position(positions_BL)
        else:
            added = self.position.weight[self.position_offset : self.position_offset + length]
        if token_type_ids_BL is None:
            added = added + self.token_type.weight[0]
        else:
            added = added + self.token_type(token_type_ids_BL)
        embedded_BLE = self.norm(self.token(input_ids_BL) + added)
        return drop(embedded_BLE, self.dropout, self.training)


class Block(Repeated, ABC):
    """The parts of a layer, self-attention and feed-forward with their norms; its kinds arrange them.

    What attention reads is not the block's business: `attend` turns queries, keys and values into
    context, and with it come masks, positions and caches.
    """

    second_norm: ClassVar[type[nn.Module]] = nn.LayerNorm

    def __init__(
        self,
        *,
        hidden_size: int,
        intermediate_size: int,
        num_heads: int,
        norm_eps: float,
        dropout: float,
        activation: Activation = F.gelu,
        input_bias: bool = True,
        output_bias: bool = True,
    ) -> None:
        """`input_bias` is of queries, keys and values, `output_bias` of the projection of the context."""
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.activation = activation
        self.attention_in = nn.Linear(hidden_size, 3 * hidden_size, bias=input_bias)
        self.attention_out = nn.Linear(hidden_size, hidden_size, bias=output_bias)
        self.attention_norm = nn.LayerNorm(hidden_size, eps=norm_eps)
        self.feed_forward_in = nn.Linear(hidden_size, intermediate_size)
        self.feed_forward_out = nn.Linear(intermediate_size, hidden_size)
        self.feed_forward_norm = self.second_norm(hidden_size, eps=norm_eps)

    def attended(self, hidden_BLD: Tensor, attend: Attend, selected_N: Tensor | None) -> Tensor:
        """What attention adds to the residual stream, at every position or the selected ones.

        Attention reads every position either way: what is saved is the work after it.
        """
        B, L, _ = hidden_BLD.shape
        mixed_3BHLK = self.attention_in(hidden_BLD).view(B, L, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        query_BHLK, key_BHLK, value_BHLK = mixed_3BHLK.unbind(0)
        context_BLD = select(attend(query_BHLK, key_BHLK, value_BHLK), selected_N)
        return drop(self.attention_out(context_BLD), self.dropout, self.training)

    def fed_forward(self, hidden: Tensor) -> Tensor:
        """What the feed-forward part adds to the residual stream."""
        update = self.feed_forward_out(self.activation(self.feed_forward_in(hidden)))
        return drop(update, self.dropout, self.training)

    @abstractmethod
    def forward(self, hidden_BLD: Tensor, attend: Attend, *, selected_N: Tensor | None = None) -> Tensor:
        """hidden_BLD; with `selected_N` (indices into B*L) only those positions, as hidden_ND."""


class PostNormBlock(Block):
    """Norm after each sum: Vaswani et al. 2017, BERT, GPT-1."""

    def forward(self, hidden_BLD: Tensor, attend: Attend, *, selected_N: Tensor | None = None) -> Tensor:
        update = self.attended(hidden_BLD, attend, selected_N)
        hidden = self.attention_norm(select(hidden_BLD, selected_N) + update)
        normed: Tensor = self.feed_forward_norm(hidden + self.fed_forward(hidden))
        return normed


class PreNormBlock(Block):
    """Norm before each part, the stream itself is never normed: GPT-2 (Radford et al. 2019, section 2.3)."""

    def forward(self, hidden_BLD: Tensor, attend: Attend, *, selected_N: Tensor | None = None) -> Tensor:
        update = self.attended(self.attention_norm(hidden_BLD), attend, selected_N)
        hidden = select(hidden_BLD, selected_N) + update
        return hidden + self.fed_forward(self.feed_forward_norm(hidden))


class ParallelBlock(Block):
    """Both parts read one norm of the stream and are added together: GPT-J (Wang and Komatsuzaki 2021)."""

    second_norm = nn.Identity

    def forward(self, hidden_BLD: Tensor, attend: Attend, *, selected_N: Tensor | None = None) -> Tensor:
        normed_BLD = self.attention_norm(hidden_BLD)
        update = self.attended(normed_BLD, attend, selected_N)
        update = update + self.fed_forward(select(normed_BLD, selected_N))
        return select(hidden_BLD, selected_N) + update


def select(values_BLD: Tensor, selected_N: Tensor | None) -> Tensor:
    """The positions `selected_N` (indices into B*L) as values_ND; all of them, unchanged, without it."""
    if selected_N is None:
        return values_BLD
    return values_BLD.reshape(-1, values_BLD.shape[-1]).index_select(0, selected_N)


def attend(
    query_BHLK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, *, bias_B1QL: Tensor | None, dropout: float
) -> Tensor:
    """Scaled dot-product attention over all positions, heads put side by side: (B, L, H * K).

    The bias, which shuts positions off, is the same for all queries (Q 1) or one for each (Q L).

    Explicit products on the CPU, where the backward pass of torch's fused kernel is slow (a third
    of a small model's step); the fused kernel elsewhere.
    """
    B, H, L, K = query_BHLK.shape
    if query_BHLK.device.type != "cpu":
        context_BHLK = F.scaled_dot_product_attention(
            query_BHLK, key_BHLK, value_BHLK, attn_mask=bias_B1QL, dropout_p=dropout
        )
    else:
        scores_BHLL = (query_BHLK * (1 / math.sqrt(K))) @ key_BHLK.transpose(2, 3)
        if bias_B1QL is not None:
            scores_BHLL = scores_BHLL + bias_B1QL
        weights_BHLL = drop(scores_BHLL.softmax(-1), dropout, True)
        context_BHLK = weights_BHLL @ value_BHLK
    return context_BHLK.transpose(1, 2).reshape(B, L, H * K)


def padding_bias(attention_mask_BL: Tensor, dtype: torch.dtype) -> Tensor:
    """bias_B11L: 0 where a position may be read, the lowest finite number where it is padding."""
    bias_BL = torch.zeros(attention_mask_BL.shape, dtype=dtype, device=attention_mask_BL.device)
    return bias_BL.masked_fill_(attention_mask_BL == 0, torch.finfo(dtype).min)[:, None, None, :]


@torch.no_grad()
def initialise(module: nn.Module, *, std: float, truncated: bool, generator: torch.Generator) -> None:
    """Fill every parameter: matrices normal(0, std), norms 1, biases and padding rows 0.

    `truncated` cuts the normal at two standard deviations, as TensorFlow's initialiser of BERT and
    ELECTRA does; RoBERTa (fairseq) and Hugging Face do not cut.
    """
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear | nn.Embedding):
            if truncated:
                nn.init.trunc_normal_(part.weight, std=std, a=-2 * std, b=2 * std, generator=generator)
            else:
                nn.init.normal_(part.weight, std=std, generator=generator)
            if isinstance(part, nn.Embedding):
                if part.padding_idx is not None:
                    nn.init.zeros_(part.weight[part.padding_idx])
            elif part.bias is not None:
                nn.init.zeros_(part.bias)
