"""A tokens folder as the tokenize stage makes it, of texts given to it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from seedbed.data.shards import ShardWriter, write_manifest
from seedbed.tokenization import (
    Tokenizer,
    Vocabulary,
    encode_stream,
    load_tokenizer,
    save_tokenizer,
)
from seedbed.tokenization.folder import TOKENIZER


def write_token_folder(folder: Path, config: Tokenizer, splits: Mapping[str, Sequence[str]]) -> Path:
    """Tokenizer of the train split, shards of every split, manifest."""
    save_tokenizer(config.train(lambda: splits["train"]), config, folder=folder / "tokenizer")
    vocabulary, tokenizer = Vocabulary.load(folder / "tokenizer"), load_tokenizer(folder / "tokenizer")
    facts = {}
    for split, texts in splits.items():
        with ShardWriter(
            folder,
            split=split,
            vocab_size=vocabulary.size,
            separator_id=vocabulary.sep_id,
            tokens_per_shard=1000,
        ) as writer:
            for ids_T, lengths_D in encode_stream(tokenizer, texts):
                writer.write(ids_T, lengths_D)
            facts[split] = writer.facts()
    write_manifest(
        folder,
        vocab_size=vocabulary.size,
        separator_id=vocabulary.sep_id,
        tokens_per_shard=1000,
        tokenizer_file=folder / "tokenizer" / TOKENIZER,
        splits=facts,
        facts={},
    )
    return folder
