"""The Hugging Face tokenizer folder (tokenizer.json, tokenizer_config.json): write, copy, load."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from seedbed.config import UserError
from seedbed.tokenization.words import whole_words, word_starts
from seedbed.workspace import write_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tokenizers

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
STANDARD = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}


class _Described(Protocol):
    """What a tokenizer's config knows beyond tokenizer.json."""

    @property
    def special_tokens(self) -> dict[str, str]: ...
    @property
    def input_names(self) -> tuple[str, ...]: ...
    @property
    def max_length(self) -> int: ...


def save_tokenizer(tokenizer: "tokenizers.Tokenizer", config: _Described, *, folder: Path) -> None:
    """Write what `transformers.AutoTokenizer.from_pretrained(folder)` needs.

    The class is the generic one on purpose: transformers 5's BertTokenizer and RobertaTokenizer build
    their normaliser anew from a few options and drop the one in tokenizer.json, and with it NFC.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER).write_text(tokenizer.to_str(pretty=True) + "\n", encoding="utf-8")
    write_json(
        folder / TOKENIZER_CONFIG,
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.max_length,
            "model_input_names": list(config.input_names),
            "clean_up_tokenization_spaces": False,
            "padding_side": "right",
            "truncation_side": "right",
            **config.special_tokens,
        },
    )


def copy_tokenizer(source: Path, target: Path, *, max_length: int | None = None) -> None:
    """Put a tokenizer beside a model; `max_length` is what the model's positions allow."""
    config = read_json(source / TOKENIZER_CONFIG)
    if max_length is not None:
        config["model_max_length"] = max_length
    target.mkdir(parents=True, exist_ok=True)
    (target / TOKENIZER).write_bytes((source / TOKENIZER).read_bytes())
    write_json(target / TOKENIZER_CONFIG, config)


def load_tokenizer(folder: Path) -> "tokenizers.Tokenizer":
    """The tokenizer of a folder, executing no code of it, without padding or truncation.

    Text that spells a special token (documentation of tokenizers is full of `[SEP]`) is read as text:
    only our own packing and post-processing place special ids.
    """
    from tokenizers import Tokenizer

    path = folder / TOKENIZER
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a folder with a Hugging Face {TOKENIZER}")
    if not isinstance(read_json(path).get("model"), dict):
        raise UserError(f"{path}: no tokenizer model in it; make the folder again")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def special_tokens(folder: Path, tokenizer: "tokenizers.Tokenizer") -> dict[str, str]:
    """The special tokens by role (`pad_token`), as the files of any version of transformers name them.

    Old folders leave BERT's and RoBERTa's names to the class of their tokenizer.
    """
    found: dict[str, str] = {}
    for name in (SPECIAL_TOKENS, TOKENIZER_CONFIG):
        for role, token in (read_json(folder / name) if (folder / name).is_file() else {}).items():
            text = token.get("content") if isinstance(token, dict) else token
            if role.endswith("_token") and isinstance(text, str):
                found[role] = text
    for role, usual in STANDARD.items():
        there = [token for token in usual if tokenizer.token_to_id(token) is not None]
        if role not in found and there:
            found[role] = there[0]
    return found


@dataclass(frozen=True)
class Vocabulary:
    """What a model must know of a tokenizer."""

    size: int
    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int
    mask_id: int
    special_ids: tuple[int, ...]
    """Every id that stands for no text, sorted."""
    word_starts: bytes = field(default=b"", repr=False)
    """A byte for each id, 1 where the token begins a word; empty where the tokenizer cannot tell."""

    whole_words: tuple[str, ...] = field(default=(), repr=False)
    """Each id's text, where tokens are whole words; empty where they are parts of words."""

    def begins_word(self) -> "npt.NDArray[np.bool_]":
        """`word_starts` as an array over ids."""
        import numpy as np

        return np.frombuffer(self.word_starts, dtype=np.bool_)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a tokenizer folder, or a model folder that holds one."""
        tokenizer = load_tokenizer(folder)
        names = special_tokens(folder, tokenizer)
        ids: dict[str, int] = {}
        for part in ("pad", "unk", "cls", "sep", "mask"):
            token = names.get(f"{part}_token")
            found = tokenizer.token_to_id(token) if token is not None else None
            if found is None:
                raise UserError(
                    f"{folder / TOKENIZER_CONFIG}: {part}_token {token!r} is not in {TOKENIZER}; "
                    "an encoder needs pad, unk, cls, sep and mask tokens"
                )
            ids[f"{part}_id"] = found
        added = tokenizer.get_added_tokens_decoder()
        special = sorted(set(ids.values()) | {index for index, token in added.items() if token.special})
        # holes between ids are possible in foreign tokenizers: embeddings must reach the largest id
        size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        return cls(
            size=size,
            special_ids=tuple(special),
            word_starts=word_starts(tokenizer, size=size),
            whole_words=whole_words(tokenizer, size=size),
            **ids,
        )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a folder; anything else is a UserError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give a folder with a Hugging Face tokenizer") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}; make the folder again") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: a {type(value).__name__}, expected an object; make the folder again")
    return value
