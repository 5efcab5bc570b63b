"""One Transformer encoder for the families BERT, RoBERTa and ELECTRA, which differ in their embeddings.

BERT: arXiv 1810.04805, section 3; RoBERTa: 1907.11692; ELECTRA: 2003.10555, section 3.2 and appendix A.
Shapes: B rows, L positions, N selected positions, D hidden size, E embedding size, and
where texts are packed R rows of P positions.
"""

from functools import partial
from typing import Literal, Protocol, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from seedbed.config import Strict
from seedbed.fidelity import Deviation
from seedbed.models.layers import Embeddings, PostNormBlock, attend, initialise, padding_bias
from seedbed.models.packed import Packed

Family = Literal["bert", "electra", "roberta"]


class Vocabulary(Protocol):
    """The part of a tokenizer's vocabulary that a network is built from."""

    @property
    def size(self) -> int: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def cls_id(self) -> int: ...
    @property
    def sep_id(self) -> int: ...


class EncoderConfig(Strict):
    """The shape of an encoder. Sizes that data decides (the vocabulary) are not here."""

    name: Literal["encoder"]
    family: Family
    hidden_size: int = Field(ge=1)
    intermediate_size: int = Field(ge=1, description="width of the feed-forward part")
    num_layers: int = Field(ge=1)
    num_heads: int = Field(ge=1)
    embedding_size: int | None = Field(
        None, ge=1, description="width of the embeddings where it is not hidden_size (ELECTRA)"
    )
    max_length: int = Field(512, ge=1, description="positions of a row")
    num_token_types: int = Field(2, ge=1, description="segments; RoBERTa has 1")
    dropout: float = Field(0.1, ge=0, lt=1)
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    norm_eps: float = Field(1e-12, gt=0)
    initializer_range: float = Field(0.02, gt=0, description="standard deviation of the first weights")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} does not divide by num_heads {self.num_heads}")
        if self.embedding_size is not None and self.family != "electra":
            raise ValueError(f"embedding_size is for family electra, {self.family} has none; remove it")
        return self

    @property
    def token_size(self) -> int:
        """Width of the embeddings."""
        return self.hidden_size if self.embedding_size is None else self.embedding_size

    def build(self, vocabulary: Vocabulary, *, seed: int = 0) -> "Encoder":
        """A new encoder, its weights a function of `seed` alone."""
        encoder = Encoder(
            self,
            vocabulary_size=vocabulary.size,
            pad_id=vocabulary.pad_id,
            cls_id=vocabulary.cls_id,
            sep_id=vocabulary.sep_id,
        )
        self.initialise(encoder, seed=seed)
        return encoder

    def initialise(self, module: nn.Module, *, seed: int) -> None:
        """Fill a module's parameters as this family was published."""
        initialise(
            module,
            std=self.initializer_range,
            truncated=self.family != "roberta",
            generator=torch.Generator().manual_seed(seed),
        )


class Encoder(nn.Module):
    """Token ids to one vector per position. Weights are torch's defaults until filled: see `build`."""

    def __init__(
        self,
        config: EncoderConfig,
        *,
        vocabulary_size: int,
        pad_id: int,
        cls_id: int | None = None,
        sep_id: int | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.pad_id, self.cls_id, self.sep_id = pad_id, cls_id, sep_id
        self.embeddings = Embeddings(
            vocabulary_size=vocabulary_size,
            pad_id=pad_id,
            size=config.token_size,
            max_length=config.max_length,
            num_token_types=config.num_token_types,
            position_offset=pad_id + 1 if config.family == "roberta" else 0,
            norm_eps=config.norm_eps,
            dropout=config.dropout,
        )
        self.projection = (
            nn.Linear(config.token_size, config.hidden_size)
            if config.token_size != config.hidden_size
            else None
        )
        self.blocks = nn.ModuleList(
            PostNormBlock(
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_heads=config.num_heads,
                norm_eps=config.norm_eps,
                dropout=config.dropout,
            )
            for _ in range(config.num_layers)
        )

    def forward(
        self,
        input_ids_BL: Tensor,
        attention_mask_BL: Tensor | None = None,
        token_type_ids_BL: Tensor | None = None,
        *,
        selected_N: Tensor | None = None,
        packed_RP: Tensor | None = None,
    ) -> Tensor:
        """hidden_BLD; with `selected_N` (indices into B*L) only those positions, as hidden_ND.

        Without a mask every position counts as real: rows without padding need none. `packed_RP` says in
        which rows all real positions are computed (see models/packed.py); padding is then 0 in hidden_BLD.
        """
        if packed_RP is not None:
            return self._packed(
                Packed(packed_RP, input_ids_BL.shape), input_ids_BL, token_type_ids_BL, selected_N
            )
        hidden_BLD = self._projected(
            self.embeddings(
                input_ids_BL, padded=attention_mask_BL is not None, token_type_ids_BL=token_type_ids_BL
            )
        )
        bias_B11L = None
        if attention_mask_BL is not None:
            bias_B11L = padding_bias(attention_mask_BL, hidden_BLD.dtype)
        return self._through_blocks(hidden_BLD, bias_B11L, selected_N)

    def _packed(
        self,
        packed: Packed,
        input_ids_BL: Tensor,
        token_type_ids_BL: Tensor | None,
        selected_N: Tensor | None,
    ) -> Tensor:
        types_RP = None if token_type_ids_BL is None else packed.rows_of(token_type_ids_BL, empty=0)
        hidden_RPD = self._projected(
            self.embeddings(
                packed.rows_of(input_ids_BL, empty=self.pad_id),
                padded=False,
                token_type_ids_BL=types_RP,
                positions_BL=packed.positions_RP,
            )
        )
        bias_R1PP = packed.bias(hidden_RPD.dtype)
        if selected_N is None:
            return packed.texts_of(self._through_blocks(hidden_RPD, bias_R1PP, None))
        return self._through_blocks(hidden_RPD, bias_R1PP, packed.places_BL.flatten()[selected_N])

    def _projected(self, embedded_BLE: Tensor) -> Tensor:
        return embedded_BLE if self.projection is None else self.projection(embedded_BLE)

    def _through_blocks(
        self, hidden_BLD: Tensor, bias_B1QL: Tensor | None, selected_N: Tensor | None
    ) -> Tensor:
        dropout = self.config.attention_dropout if self.training else 0.0
        read_all = partial(attend, bias_B1QL=bias_B1QL, dropout=dropout)
        *first, last = self.blocks
        for block in first:
            hidden_BLD = block(hidden_BLD, read_all)
        hidden: Tensor = last(hidden_BLD, read_all, selected_N=selected_N)
        return hidden


DEVIATIONS = (
    Deviation(
        system="ELECTRA",
        theirs="ELECTRA-Small trains on rows of 128 tokens with a table of 512 positions.",
        ours="The table has as many positions as rows have tokens.",
        why="Positions that no row reaches are never trained; take electra_small_plus_plus for longer texts.",
        source="google-research/electra configure_pretraining.py, model/modeling.py",
    ),
    Deviation(
        system="BERT",
        theirs="The model has a pooler whether or not anything trains it; saved without next-sentence "
        "prediction it looks like any other.",
        ours="The pooler is saved where next-sentence prediction trained it, and nowhere else: transformers "
        "says that it draws a new one, and fine-tuning here draws one with the head's seed.",
        why="Nobody takes random numbers for what was learned.",
        source="google-research/bert modeling.py; transformers BertModel",
    ),
)
