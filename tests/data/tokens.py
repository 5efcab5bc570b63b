"""Small token folders for tests."""

from itertools import chain
from pathlib import Path

import numpy as np

from seedbed.data.shards import ShardWriter, write_manifest

SEPARATOR = 3


def write(
    folder: Path, documents: list[list[int]], *, per_shard: int = 7, vocab_size: int = 100, batch: int = 2
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text("{}")
    with ShardWriter(
        folder, split="train", vocab_size=vocab_size, separator_id=SEPARATOR, tokens_per_shard=per_shard
    ) as writer:
        for first in range(0, len(documents), batch):
            part = documents[first : first + batch]
            writer.write(
                np.array(list(chain.from_iterable(part)), dtype=np.uint32),
                np.array([len(d) for d in part], dtype=np.int64),
            )
        facts = writer.facts()
    write_manifest(
        folder,
        vocab_size=vocab_size,
        separator_id=SEPARATOR,
        tokens_per_shard=per_shard,
        tokenizer_file=folder / "tokenizer.json",
        splits={"train": facts},
        facts={},
    )
    return folder


def documents_of(count: int, seed: int = 0) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(5, 100, generator.integers(0, 30)).tolist() for _ in range(count)]


def stream_of(documents: list[list[int]]) -> list[int]:
    """The documents end to end, a separator after each."""
    return list(chain.from_iterable([*document, SEPARATOR] for document in documents))
