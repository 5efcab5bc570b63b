"""A small clean corpus of English and Korean documents, and a backbone whose tokenizer learned on it."""

import json
from pathlib import Path

from seedbed.corpora import Document
from seedbed.models import EncoderConfig, save_pretrained
from seedbed.tokenization import TokenizeRecipe, Vocabulary, save_tokenizer

PACKAGES = {
    "alpha-sort": ("alphasort", "sort the rows of a list by their keys and give them back"),
    "betanet": ("betanet", "그물의 층을 만들고 가중치를 더한다 build a layer of the network"),
    "pip": ("pip", "download a wheel from the index and unpack it into a folder"),
}


def document(package: str, number: int, *, module: str | None = None) -> Document:
    name, words = PACKAGES[package]
    text = (
        f"{words.capitalize()}, number {number} of {name}.\n\n"
        f"Parameters follow after the summary: value {number * 7} and option {number % 5}."
    )
    path = module or f"{name}.part{number}"
    return Document(f"{package}:{path}:f{number}", text, {"package": package, "module": path})


def documents(count: int = 40, *, first: int = 0) -> list[Document]:
    return [document(package, first + number) for number in range(count) for package in PACKAGES]


def write_corpus(folder: Path, *, count: int = 40) -> Path:
    """train, valid and test of different modules; the test split only where `count` reaches it."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, first in (("train", 0), ("valid", 1000), ("test", 2000)):
        lines = [
            json.dumps({"id": one.id, "text": one.text, "meta": dict(one.meta)}, ensure_ascii=False) + "\n"
            for one in documents(count, first=first)
        ]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def write_backbone(folder: Path, *, family: str = "electra") -> Path:
    """An untrained encoder of 2 layers x 32 in the Hugging Face layout."""
    kind = "byte_level_bpe" if family == "roberta" else "wordpiece"
    tokenizer = {"name": kind, "vocab_size": 600} | ({"lowercase": True} if kind == "wordpiece" else {})
    config = TokenizeRecipe.parse({"corpus": "tiny", "tokenizer": tokenizer}, where="test").tokenizer
    texts = [one.text for one in documents(40)]
    save_tokenizer(config.train(lambda: texts), config, folder=folder)
    encoder = EncoderConfig.parse(
        {
            "name": "encoder",
            "family": family,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_layers": 2,
            "num_heads": 2,
            "max_length": 64,
            "num_token_types": 1 if family == "roberta" else 2,
        },
        where="test",
    ).build(Vocabulary.load(folder), seed=5)
    save_pretrained(folder, encoder)
    return folder
