"""Encoding: whole corpora as a stream of id arrays, and texts or pairs for a model's input."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tokenizers

_CHARACTERS_PER_BATCH = 2**20


def set_threads(threads: int) -> None:
    """Threads of the `tokenizers` library; only the first call before any encoding has an effect.

    Set on purpose: the library warns and turns itself serial after a fork unless told.
    """
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"


def encode_batch(tokenizer: "tokenizers.Tokenizer", texts: Sequence[str]) -> list[list[int]]:
    """The ids of each text, without special tokens."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def encode_stream(
    tokenizer: "tokenizers.Tokenizer", texts: Iterable[str]
) -> Iterator[tuple["npt.NDArray[np.uint32]", "npt.NDArray[np.int64]"]]:
    """Batches of (ids of many documents end to end, tokens of each document), in order.

    The next batch is encoded (outside the interpreter's lock) while this one is unpacked and written.
    The ids depend on neither batches nor threads. Memory: two batches, or the largest document.
    """
    with ThreadPoolExecutor(1) as encoder:
        waiting = None
        for batch in batches(texts, characters=_CHARACTERS_PER_BATCH):
            coming = encoder.submit(tokenizer.encode_batch_fast, batch, add_special_tokens=False)
            if waiting is not None:
                yield _flat(waiting.result())
            waiting = coming
        if waiting is not None:
            yield _flat(waiting.result())


class Encoded(NamedTuple):
    """A text or a pair of texts as a network reads it."""

    ids: list[int]
    type_ids: list[int]
    cut: bool
    """The end was left out."""


def encode_texts(
    tokenizer: "tokenizers.Tokenizer",
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    max_length: int,
) -> list[Encoded]:
    """Each text or pair with special tokens, cut to `max_length`.

    Of a pair the longer text is cut first. RoBERTa's type ids are all 0, as its checkpoints have one type.
    """
    inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    try:
        encodings = tokenizer.encode_batch_fast(inputs)
    finally:
        tokenizer.no_truncation()
    return [Encoded(one.ids, one.type_ids, bool(one.overflowing)) for one in encodings]


def batches(texts: Iterable[str], *, characters: int) -> Iterator[list[str]]:
    """The texts in lists of at least so many characters, the last of fewer."""
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _flat(
    encodings: "list[tokenizers.Encoding]",
) -> tuple["npt.NDArray[np.uint32]", "npt.NDArray[np.int64]"]:
    import numpy as np

    documents = [encoding.ids for encoding in encodings]
    lengths_D = np.fromiter(map(len, documents), dtype=np.int64, count=len(documents))
    ids_T = np.fromiter(chain.from_iterable(documents), dtype=np.uint32, count=int(lengths_D.sum()))
    return ids_T, lengths_D
