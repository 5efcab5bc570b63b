"""Whether a tokenizer is another one with tokens added, and what the added tokens were before."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.config import UserError
from seedbed.tokenization.folder import load_tokenizer
from seedbed.workspace import hash_json

if TYPE_CHECKING:
    import tokenizers


def new_tokens(base_folder: Path, folder: Path) -> tuple[int, list[list[int]]]:
    """(first new id, what of the base each new token was made of) of a tokenizer that extends the base.

    The base itself has no new tokens. A token of characters that the base has not is made of nothing. Any
    other tokenizer is a UserError: ids would mean other tokens than the checkpoint learned.
    """
    base, tokenizer = load_tokenizer(base_folder), load_tokenizer(folder)
    old, new = meaning(base), meaning(tokenizer)
    known, found = _vocabulary(base), _vocabulary(tokenizer)
    first = max(known.values()) + 1
    added = sorted((index, token) for token, index in found.items() if token not in known)
    merges, more = old["model"].pop("merges", []), new["model"].pop("merges", [])
    del old["model"]["vocab"], new["model"]["vocab"]
    extends = (
        old == new
        and all(found.get(token) == index for token, index in known.items())
        and [index for index, _ in added] == list(range(first, first + len(added)))
        and more[: len(merges)] == merges
        and (bool(added) or more == merges)
    )
    if not extends:
        raise UserError(
            f"{folder}: {len(found)} tokens, digest {digest(tokenizer)[:12]}, is not the tokenizer of "
            f"{base_folder} ({len(known)} tokens, digest {digest(base)[:12]}) nor extends it; make tokens "
            "with tokenizer existing or extended on this checkpoint"
        )
    return first, [pieces(base, token) for _, token in added]


def pieces(base: "tokenizers.Tokenizer", token: str) -> list[int]:
    """The base's ids of a token's characters, at the token's place in a word; [] where it has none."""
    from tokenizers import models

    if isinstance(base.model, models.WordPiece):
        return longest_first(token, base.get_vocab(), prefix=base.model.continuing_subword_prefix) or []
    return [part.id for part in base.model.tokenize(token)]


def longest_first(token: str, vocabulary: dict[str, int], *, prefix: str) -> list[int] | None:
    """WordPiece's segmentation of a word, or of what continues one (`##x`); None where it has none."""
    start = len(prefix) if token.startswith(prefix) and token != prefix else 0
    inside = start > 0
    found: list[int] = []
    while start < len(token):
        for stop in range(len(token), start, -1):
            index = vocabulary.get((prefix if inside else "") + token[start:stop])
            if index is not None:
                break
        else:
            return None
        found.append(index)
        start, inside = stop, True
    return found


def meaning(tokenizer: "tokenizers.Tokenizer") -> dict[str, Any]:
    """What of a tokenizer decides which ids a text gets."""
    tree = json.loads(tokenizer.to_str())
    return {part: tree[part] for part in ("normalizer", "pre_tokenizer", "added_tokens", "model")}


def digest(tokenizer: "tokenizers.Tokenizer") -> str:
    """A hash of what decides which ids a text gets, however its file is written."""
    return hash_json(meaning(tokenizer))


def _vocabulary(tokenizer: "tokenizers.Tokenizer") -> dict[str, int]:
    return tokenizer.get_vocab(with_added_tokens=True)
