"""The pass: counts add up, growth moves nothing, memory does not grow with text."""

import json
import tracemalloc
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.corpora import Document, TestSplit, read_split
from seedbed.corpora.base import SPLITS
from seedbed.preprocessing import Preprocessing, PreprocessRecipe

RECIPE = {
    "source": "x",
    "reader": {"name": "jsonl"},
    "normalisation": {},
    "length": {"min_characters": 5},
    "repetition": {},
    "deduplication": {},
    "split": {"valid_permille": 200, "test_permille": 200},
}


def build(**changes: object) -> Preprocessing:
    return PreprocessRecipe.parse({**RECIPE, **changes}, "preprocess.x").build("preprocess.x")


def documents(first: int, last: int) -> Iterator[Document]:
    return (Document(str(n), f"{n}번째 문서입니다 document") for n in range(first, last))


def written(folder: Path) -> dict[str, str]:
    key = TestSplit("a test of preprocessing")
    return {d.text: split for split in SPLITS for d in read_split(folder, split, key)}


def test_counts_by_reason(tmp_path: Path) -> None:
    texts = [
        *(d.text for d in documents(0, 100)),
        unicodedata.normalize("NFD", "3번째 문서입니다 document"),  # the same text once normalised
        "\x00 ",
        "짧다",
        "ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ",
    ]
    counts = build().write((Document(str(i), t) for i, t in enumerate(texts)), tmp_path, where="x")
    assert counts.dropped == {"duplicate document": 1, "empty": 1, "too short": 1, "looping letters": 1}
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["read"] == 104 == sum(manifest["documents"].values()) + sum(manifest["dropped"].values())
    found = written(tmp_path)
    assert len(found) == 100 and manifest["characters"]["train"] == sum(
        len(text) for text, split in found.items() if split == "train"
    )
    assert set(counts.metrics()) >= {"documents/read", "train/documents", "dropped/looping_letters"}


def test_growth_and_order_move_nothing(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("small", "grown", "reversed")]
    for folder in folders:
        folder.mkdir()
    build().write(documents(100, 300), folders[0], where="x")
    build().write(documents(0, 1000), folders[1], where="x")
    build().write(reversed(list(documents(0, 1000))), folders[2], where="x")
    small, grown, backwards = map(written, folders)
    assert small.items() <= grown.items()
    assert grown == backwards


def test_same_bytes_again(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        build().write(documents(0, 200), folder, where="x")
    for name in ("train.jsonl", "valid.jsonl", "test.jsonl", "manifest.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_empty_corpus_tells_the_drops(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="empty corpus: 0 documents read, dropped: none"):
        build().write(iter(()), tmp_path, where="preprocess.x")
    short = [Document("1", "a"), Document("2", "")]
    with pytest.raises(UserError, match="2 documents read, dropped: empty 1, too short 1"):
        build().write(short, tmp_path, where="preprocess.x")
    with pytest.raises(UserError, match=r"the (train|valid|test) split is empty: 1 documents kept"):
        build().write(documents(0, 1), tmp_path, where="preprocess.x")


def test_contradicting_bounds() -> None:
    with pytest.raises(UserError, match=r"preprocess\.x\.length: min_characters 9 is above max_characters 3"):
        build(length={"min_characters": 9, "max_characters": 3})
    with pytest.raises(UserError, match="leave no train"):
        build(split={"valid_permille": 999, "test_permille": 1})


def test_pieces_can_be_switched_off(tmp_path: Path) -> None:
    same = [Document(str(n), "ㅋㅋㅋㅋㅋㅋㅋㅋ") for n in range(3)]
    preprocessing = build(
        repetition=None, deduplication={"exact": False}, split={"valid_permille": 0, "test_permille": 0}
    )
    assert preprocessing.write(same, tmp_path, where="x").documents == {"train": 3}


def test_memory_does_not_grow_with_text(tmp_path: Path) -> None:
    """Eight times the text, the same number of documents: the same peak."""

    def peak(characters: int) -> int:
        stream = (Document(str(n), f"{n} " + f"한{n % 7}글 " * (characters // 4)) for n in range(400))
        preprocessing = build(repetition=None)
        tracemalloc.start()
        preprocessing.write(stream, tmp_path, where="x")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    small, large = peak(1_000), peak(8_000)
    # 400 documents of 8,000 characters are 6 MB as text; only one of them at a time may be held.
    assert large - small < 600_000
