"""Text to token ids: train a tokenizer, write it as a Hugging Face folder, load it, encode with it.

`Tokenizer` is the catalogue of the kinds there are. Everything below runs on the `tokenizers` library
alone: no Python code of a folder is ever executed.
"""

from typing import Annotated

from pydantic import Field

from seedbed.config import Strict
from seedbed.tokenization.byte_level_bpe import ByteLevelBPEConfig
from seedbed.tokenization.characters import read_words, spell_all
from seedbed.tokenization.encode import encode_batch, encode_stream, encode_texts, set_threads
from seedbed.tokenization.existing import ExistingTokenizerConfig
from seedbed.tokenization.extended import ExtendedTokenizerConfig
from seedbed.tokenization.extension import new_tokens
from seedbed.tokenization.folder import Vocabulary, copy_tokenizer, load_tokenizer, save_tokenizer
from seedbed.tokenization.input_tokens import InputTokens, add_input_tokens, copy_with_input_tokens
from seedbed.tokenization.word_level import WordLevelConfig
from seedbed.tokenization.wordpiece import WordPieceConfig

Tokenizer = Annotated[
    WordPieceConfig
    | ByteLevelBPEConfig
    | WordLevelConfig
    | ExistingTokenizerConfig
    | ExtendedTokenizerConfig,
    Field(discriminator="name"),
]


class TokenizeRecipe(Strict):
    """One run of the `tokenize` verb."""

    corpus: str = Field(description="a preprocess run: the documents")
    tokenizer: Tokenizer
    learn_characters: int = Field(
        2**28,
        ge=1,
        description="most text the vocabulary is learned from: of a larger corpus every k-th document, "
        "which bounds the memory of learning",
    )
    tokens_per_shard: int = Field(
        2**26, ge=1, description="a shard file holds exactly this many tokens, the last one fewer"
    )


__all__ = [
    "ByteLevelBPEConfig",
    "ExistingTokenizerConfig",
    "ExtendedTokenizerConfig",
    "InputTokens",
    "TokenizeRecipe",
    "Tokenizer",
    "Vocabulary",
    "WordLevelConfig",
    "WordPieceConfig",
    "add_input_tokens",
    "copy_tokenizer",
    "copy_with_input_tokens",
    "encode_batch",
    "encode_stream",
    "encode_texts",
    "load_tokenizer",
    "new_tokens",
    "read_words",
    "save_tokenizer",
    "set_threads",
    "spell_all",
]
