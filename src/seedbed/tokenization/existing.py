"""The tokenizer of a checkpoint as it is, so that tokens have the ids that its model learned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.tokenization.folder import (
    STANDARD,
    TOKENIZER,
    TOKENIZER_CONFIG,
    load_tokenizer,
    read_json,
    save_tokenizer,
    special_tokens,
)

LONGEST = 2**20
"""transformers writes 1e30 where a tokenizer knows no length."""


class ExistingTokenizerConfig(Strict):
    """Nothing is learned from the corpus: it is encoded."""

    name: Literal["existing"]
    checkpoint: str = Field(
        description="a pretrain run, or a folder with tokenizer.json by its path from models/pretrain"
    )

    @property
    def files(self) -> list[str]:
        """What is read, by its path from models/pretrain."""
        return [f"{self.checkpoint}/{name}" for name in (TOKENIZER, TOKENIZER_CONFIG)]

    def write(self, base: Path, *, folder: Path) -> None:
        """The tokenizer of the folder `base`, with all that Vocabulary asks for."""
        save_tokenizer(load_tokenizer(base), describe(base), folder=folder)


@dataclass(frozen=True)
class Described:
    """What tokenizer_config.json says of a tokenizer."""

    special_tokens: dict[str, str]
    input_names: tuple[str, ...]
    max_length: int

    @property
    def unknown(self) -> str:
        return self.special_tokens["unk_token"]


def describe(base: Path) -> Described:
    """The names of a folder's special tokens and the inputs its model takes.

    A GPT's tokenizer has an end of text alone, which then stands for every part; an encoder cannot be trained
    on it, for nothing is left to mask with.
    """
    from tokenizers import models

    tokenizer, written = load_tokenizer(base), read_json(base / TOKENIZER_CONFIG)
    names = special_tokens(base, tokenizer)
    for role in STANDARD:
        if role not in names and "eos_token" in names:
            names[role] = names["eos_token"]
        if role not in names:
            raise UserError(
                f"{base / TOKENIZER_CONFIG}: no {role}, and no eos_token to stand for it; name it there"
            )
    types = isinstance(tokenizer.model, models.WordPiece)
    inputs = written.get("model_input_names") or (
        ["input_ids", "token_type_ids", "attention_mask"] if types else ["input_ids", "attention_mask"]
    )
    length = written.get("model_max_length")
    known = isinstance(length, int) and not isinstance(length, bool) and length < LONGEST
    return Described(names, tuple(map(str, inputs)), length if known and isinstance(length, int) else 512)
