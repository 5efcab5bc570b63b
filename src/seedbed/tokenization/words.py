"""Which tokens begin a word, read from the tokenizer's own marks, and which words whole tokens are."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

BLANKS = "ĠĊĉč"
"""Space, new line, tab and carriage return as byte-level BPE writes them."""


def word_starts(tokenizer: "tokenizers.Tokenizer", *, size: int) -> bytes:
    """A byte for each id below `size`, 1 where the token begins a word; b"" where it cannot be told.

    WordPiece marks what continues a word (`##`); a word ends at blanks and punctuation. Byte-level BPE
    marks the blank before a word, so punctuation goes on with the word it touches. Text without blanks is
    one word to both, but for Han characters, which WordPiece takes apart.
    """
    from tokenizers import decoders, models

    starts = bytearray(b"\1" * size)
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    if isinstance(tokenizer.model, models.WordPiece):
        prefix = tokenizer.model.continuing_subword_prefix
        for token, index in vocabulary.items():
            starts[index] = not token.startswith(prefix)
    elif isinstance(tokenizer.decoder, decoders.ByteLevel):
        for token, index in vocabulary.items():
            starts[index] = token.startswith(tuple(BLANKS))
    else:
        return b""
    return bytes(starts)


def whole_words(tokenizer: "tokenizers.Tokenizer", *, size: int) -> tuple[str, ...]:
    """The text of each id below `size`, where the model's tokens are whole words; else ()."""
    from tokenizers import models

    if not isinstance(tokenizer.model, models.WordLevel):
        return ()
    words = [""] * size
    for word, index in tokenizer.get_vocab(with_added_tokens=True).items():
        words[index] = word
    return tuple(words)
