"""The publisher's splits: nothing moves into or out of test, and what shares a text stays together."""

from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.corpora.base import Document
from seedbed.preprocessing import PreprocessRecipe
from seedbed.preprocessing.split import PublishedSplitConfig


def test_valid_is_carved_from_train_by_text_and_test_stays() -> None:
    split = PublishedSplitConfig(name="published", valid_permille=100)
    found = {}
    for number in range(4000):
        text = f"문장 {number // 2}"
        found[number] = split.assign(Document(str(number), text, {"split": "train"}))
        assert split.assign(Document("x", text, {"split": "test"})) == "test"
    assert all(found[n] == found[n + 1] for n in range(0, 4000, 2))
    share = sum(one == "valid" for one in found.values()) / 4000
    assert abs(share - 0.1) < 4 * (0.1 * 0.9 / 2000) ** 0.5
    whole = PublishedSplitConfig(name="published")
    assert {whole.assign(Document("x", f"{n}", {"split": "train"})) for n in range(200)} == {"train"}
    assert whole.assign(Document("x", "글", {"split": "valid"})) == "valid"


def test_a_document_without_a_split_is_the_users_fault() -> None:
    with pytest.raises(UserError, match="its meta names no split; read it with reader `published`"):
        PublishedSplitConfig(name="published").assign(Document("x", "글", {}))


def test_published_texts_are_written_as_they_are(tmp_path: Path) -> None:
    rows = "label\ttext\n1\t  둘 칸  \n0\t\n1\t  둘 칸  \n0\tdecomposed 가\n"
    for name in ("train.tsv", "test.tsv"):
        (tmp_path / name).write_text(rows, encoding="utf-8")
    reader = {"name": "csv", "delimiter": "\t", "quoting": "none", "text": "text", "meta": ["label"]}
    files = {"train": "train.tsv", "valid": "test.tsv", "test": "test.tsv"}
    recipe = PreprocessRecipe.parse(
        {
            "source": "x",
            "reader": {"name": "published", "splits": files, "reader": reader},
            "normalisation": None,
            "length": None,
            "repetition": None,
            "deduplication": {"exact": False},
            "split": {"name": "published"},
        },
        where="preprocess.x",
    )
    (tmp_path / "out").mkdir()
    counts = recipe.build("preprocess.x").write(
        recipe.reader.read(tmp_path), tmp_path / "out", where="preprocess.x"
    )
    assert dict(counts.documents) == {"train": 4, "valid": 4, "test": 4} and not counts.dropped
    assert '"text": "  둘 칸  "' in (tmp_path / "out/test.jsonl").read_text(encoding="utf-8")
