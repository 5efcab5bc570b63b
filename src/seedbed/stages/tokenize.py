"""tokenize: train a tokenizer on the train split, encode the train and valid splits into token shards."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.config import UserError
from seedbed.corpora import Split, read_split
from seedbed.data.shards import ShardWriter, write_manifest
from seedbed.progress import track
from seedbed.tokenization import (
    ByteLevelBPEConfig,
    ExistingTokenizerConfig,
    ExtendedTokenizerConfig,
    TokenizeRecipe,
    Vocabulary,
    WordLevelConfig,
    WordPieceConfig,
    encode_stream,
    load_tokenizer,
    new_tokens,
    save_tokenizer,
    set_threads,
)
from seedbed.tokenization.existing import describe
from seedbed.tokenization.folder import TOKENIZER
from seedbed.tracking import open_run
from seedbed.workspace import Workspace

FROM_A_CHECKPOINT = (ExistingTokenizerConfig, ExtendedTokenizerConfig)
SPLITS: tuple[Split, ...] = ("train", "valid")
"""The test split is left to `evaluate`: neither vocabulary nor pretraining may see it."""


def inputs(recipe: TokenizeRecipe) -> list[tuple[str, str]]:
    """The artifacts this stage reads."""
    files = recipe.tokenizer.files if isinstance(recipe.tokenizer, FROM_A_CHECKPOINT) else []
    return [("preprocess", recipe.corpus), *(("pretrain", file) for file in files)]


def run(workspace: Workspace, recipe: TokenizeRecipe) -> None:
    """Write tokenizer/, train/, valid/ and manifest.json."""
    corpus = workspace.input("preprocess", recipe.corpus)
    documents, characters, licences = _counts(corpus)
    stride = -(-characters["train"] // recipe.learn_characters)
    set_threads(workspace.machine.threads)
    with open_run(workspace) as tracked, workspace.publish() as out:
        passes = 0

        def texts() -> Iterator[str]:
            nonlocal passes
            passes += 1
            label = f"tokenize {workspace.run}: learn, pass {passes}"
            return _texts(corpus, "train", label, documents["train"], stride)

        folder = out / "tokenizer"
        facts: dict[str, Any] = {"learned_from_every": stride}
        match recipe.tokenizer:
            case ExistingTokenizerConfig():
                recipe.tokenizer.write(_base(workspace, recipe.tokenizer.files), folder=folder)
                facts = {}
            case ExtendedTokenizerConfig():
                base = _base(workspace, recipe.tokenizer.files)
                recipe.tokenizer.write(base, texts, folder=folder)
                facts["extended"] = _before(corpus, base, new_tokens(base, folder))
            case WordPieceConfig() | ByteLevelBPEConfig() | WordLevelConfig():
                save_tokenizer(recipe.tokenizer.train(texts), recipe.tokenizer, folder=folder)
                facts["vocab_size_asked"] = recipe.tokenizer.vocab_size
        vocabulary = Vocabulary.load(folder)
        tokenizer = load_tokenizer(folder)
        splits: dict[str, dict[str, Any]] = {}
        for split in SPLITS:
            label = f"tokenize {workspace.run}: encode {split}"
            unknown = 0
            with ShardWriter(
                out,
                split=split,
                vocab_size=vocabulary.size,
                separator_id=vocabulary.sep_id,
                tokens_per_shard=recipe.tokens_per_shard,
            ) as writer:
                for ids_T, lengths_D in encode_stream(
                    tokenizer, _texts(corpus, split, label, documents[split])
                ):
                    writer.write(ids_T, lengths_D)
                    unknown += int(np.count_nonzero(ids_T == vocabulary.unk_id))
                splits[split] = {**writer.facts(), "unknown_tokens": unknown}
        write_manifest(
            out,
            vocab_size=vocabulary.size,
            separator_id=vocabulary.sep_id,
            tokens_per_shard=recipe.tokens_per_shard,
            tokenizer_file=folder / TOKENIZER,
            splits=splits,
            facts=facts | ({"licences": licences} if licences else {}),
        )
        tracked.log_metrics(
            {"vocab_size": float(vocabulary.size)}
            | {f"extended/{name}": float(value) for name, value in facts.get("extended", {}).items()}
            | {
                f"{split}/{name}": float(splits[split][name])
                for split in SPLITS
                for name in ("tokens", "documents", "unknown_tokens")
            }
        )


def _base(workspace: Workspace, files: list[str]) -> Path:
    """The folder of a checkpoint's tokenizer."""
    return workspace.input("pretrain", files[0]).parent


def _before(corpus: Path, base: Path, added: tuple[int, list[list[int]]]) -> dict[str, int]:
    """What the valid split was to the tokenizer that was extended."""
    tokenizer, unknown_id = load_tokenizer(base), load_tokenizer(base).token_to_id(describe(base).unknown)
    tokens = unknown = 0
    for ids_T, _ in encode_stream(tokenizer, (document.text for document in read_split(corpus, "valid"))):
        tokens += len(ids_T)
        unknown += int(np.count_nonzero(ids_T == unknown_id))
    return {
        "new_tokens": len(added[1]),
        "valid_tokens_before": tokens,
        "valid_unknown_tokens_before": unknown,
    }


def _texts(corpus: Path, split: Split, label: str, total: int, stride: int = 1) -> Iterator[str]:
    """The texts of every `stride`-th document."""
    chosen = islice(read_split(corpus, split), 0, None, stride)
    for document in track(chosen, label, -(-total // stride), "document"):
        yield document.text


def _counts(corpus: Path) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Documents and characters of each split and documents of each licence, as preprocess counted them."""
    path = corpus / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    documents, characters = manifest["documents"], manifest["characters"]
    for split in SPLITS:
        if not documents.get(split):
            raise UserError(
                f"{path}: the {split} split has no documents; give corpus {corpus.name} more text or loosen "
                f"conf/preprocess/{corpus.name}.yaml"
            )
    return documents, characters, manifest.get("licences", {})
