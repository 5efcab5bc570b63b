"""What stands on a pretrained decoder: its backbone, opened with GPT-1's three tokens of input.

Radford et al. 2018, section 3.3.
"""

from abc import ABC
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from seedbed.config import UserError
from seedbed.data.randomness import derive_seed
from seedbed.models import Decoder, load_decoder, with_tokens
from seedbed.tasks.network import NetworkConfig
from seedbed.tokenization import InputTokens, add_input_tokens, copy_with_input_tokens, load_tokenizer


@dataclass(frozen=True)
class _Sizes:
    """The vocabulary of a decoder that is made anew."""

    size: int
    pad_id: int
    sep_id: int


class OnDecoderConfig(NetworkConfig, ABC):
    """The backbone and how much of it is dropped while it is fine-tuned."""

    stands_on: ClassVar[str | None] = "decoder"
    weights: Literal["pretrained", "random"]
    embedding_dropout: float = Field(0.1, ge=0, lt=1)
    dropout: float = Field(0.1, ge=0, lt=1, description="of what each layer adds, while fine-tuning")
    attention_dropout: float = Field(0.1, ge=0, lt=1)

    def open(self, folder: Path, *, seed: int) -> tuple[Decoder, InputTokens]:
        """The folder's decoder, or one of its shape with new weights, and the ids of the three tokens.

        New weights, those of the tokens' vectors among them, are a function of `seed`.
        """
        decoder = load_decoder(
            folder,
            embedding_dropout=self.embedding_dropout,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
        )
        tokenizer = load_tokenizer(folder)
        if decoder.vocabulary_size <= (largest := max(tokenizer.get_vocab(with_added_tokens=True).values())):
            raise UserError(
                f"{folder}: a tokenizer of {largest + 1} tokens and a decoder of {decoder.vocabulary_size}; "
                "give a folder whose tokenizer is the decoder's"
            )
        if self.weights == "random":
            pad_id, end_id = decoder.pad_id, decoder.end_id
            sizes = _Sizes(decoder.vocabulary_size, pad_id or 0, end_id or 0)
            decoder = decoder.config.build(sizes, seed=derive_seed(seed, "decoder"))
            decoder.pad_id, decoder.end_id = pad_id, end_id
        tokens = add_input_tokens(tokenizer)
        return with_tokens(decoder, tokens, seed=derive_seed(seed, "tokens")), tokens

    def copy_tokenizer(self, backbone: Path, folder: Path) -> None:
        copy_with_input_tokens(backbone, folder)


def pad_id_of(decoder: Decoder) -> int:
    """What fills a row behind its end, where no token reads it; a folder may name none."""
    named = (decoder.pad_id, decoder.end_id, 0)
    return next(one for one in named if one is not None)
