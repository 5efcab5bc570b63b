"""Readers of published labels: JSON arrays, CoNLL columns, SQuAD, and a publisher's own splits."""

import json
from pathlib import Path
from typing import Any

import pytest

from seedbed.config import UserError
from seedbed.corpora.json_array import JsonConfig
from seedbed.corpora.published import PublishedConfig
from seedbed.corpora.squad import SquadConfig
from seedbed.corpora.tagged import TaggedConfig, to_iob2


def test_a_json_array_gives_a_document_for_each_object(tmp_path: Path) -> None:
    rows = [{"guid": "g1", "a": "첫 문장", "labels": {"label": 4.9, "binary-label": 1}}]
    (tmp_path / "dev.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    config = JsonConfig.parse(
        {"name": "json", "text": "a", "id": "guid", "meta": ["labels.label", "labels.binary-label"]},
        where="x",
    )
    [document] = config.read(tmp_path)
    assert (document.id, document.text) == ("g1", "첫 문장")
    assert document.meta == {"label": "4.9", "binary-label": "1"}
    (tmp_path / "dev.json").write_text('{"a": 1}')
    with pytest.raises(UserError, match="expected an array"):
        list(config.read(tmp_path))
    (tmp_path / "dev.json").write_text("[")
    with pytest.raises(UserError, match="not JSON"):
        list(config.read(tmp_path))


@pytest.mark.parametrize(
    ("iob1", "iob2"),
    [
        ("I-PER I-PER O", "B-PER I-PER O"),
        ("I-PER B-PER I-PER", "B-PER B-PER I-PER"),
        ("I-PER I-LOC O I-LOC", "B-PER B-LOC O B-LOC"),
        ("B-PER I-PER", "B-PER I-PER"),
        ("O", "O"),
    ],
)
def test_iob1_becomes_iob2(iob1: str, iob2: str) -> None:
    assert to_iob2(iob1.split()) == iob2.split()
    assert to_iob2(iob2.split()) == iob2.split()


def read_tagged(tmp_path: Path, text: str, **changed: Any) -> list[Any]:
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    return list(TaggedConfig.parse({"name": "tagged", **changed}, where="x").read(tmp_path))


def test_words_are_joined_by_blanks_and_keep_their_places(tmp_path: Path) -> None:
    text = "-DOCSTART-\tO\n\nSeoul\tNNP\tI-LOC\nis\tVBZ\tO\n\n\n한국\tNNP\tI-LOC\n"
    first, second = read_tagged(tmp_path, text, scheme="iob1")
    assert first.text == "Seoul is"
    assert first.meta == {"tags": "B-LOC O", "spans": "[[0,5],[6,8]]"}
    assert (second.id, second.text, second.meta["tags"]) == ("a.conll:7", "한국", "B-LOC")


def test_characters_are_joined_by_nothing_and_blanks_are_units(tmp_path: Path) -> None:
    text = "## id\t<경찰:OG>은 또\n경\tB-OG\n찰\tI-OG\n은\tO\n \tO\n또\tO\n\n"
    [document] = read_tagged(tmp_path, text, joined_by="", comment="##")
    assert document.text == "경찰은 또"
    assert document.meta["tags"] == "B-OG I-OG O O O"
    assert json.loads(document.meta["spans"]) == [[n, n + 1] for n in range(5)]


def test_a_line_without_a_tag_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.conll:2: tag 'word'"):
        read_tagged(tmp_path, "a\tO\nword\n")


SQUAD = {
    "data": [
        {
            "title": "제목",
            "paragraphs": [
                {
                    "context": "서울은 한국의 수도이다. 😀 Seoul.",
                    "qas": [
                        {"id": "q1", "question": "수도는?", "answers": [{"text": "서울", "answer_start": 0}]},
                        {"id": "q2", "question": "?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ]
}


def test_squad_gives_a_document_for_each_question(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text(json.dumps(SQUAD, ensure_ascii=False), encoding="utf-8")
    first, second = SquadConfig(name="squad").read(tmp_path)
    assert first.id == "q1" and first.text == "서울은 한국의 수도이다. 😀 Seoul."
    assert first.meta == {"question": "수도는?", "answers": '[["서울", 0]]', "title": "제목"}
    assert second.meta["answers"] == "[]"


def test_an_answer_that_does_not_stand_at_its_place_is_refused(tmp_path: Path) -> None:
    wrong = json.loads(json.dumps(SQUAD))
    wrong["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] = 1
    (tmp_path / "dev.json").write_text(json.dumps(wrong))
    with pytest.raises(UserError, match=r"q1: '서울' does not stand at 1 .* there is '울은'; .*code points"):
        list(SquadConfig(name="squad").read(tmp_path))
    (tmp_path / "dev.json").write_text('{"rows": []}')
    with pytest.raises(UserError, match="not in SQuAD's format"):
        list(SquadConfig(name="squad").read(tmp_path))


def test_a_publishers_files_name_their_split(tmp_path: Path) -> None:
    for split, text in (("train", "hide \t0\n"), ("dev", 'a "quote\t1\n')):
        (tmp_path / f"{split}.tsv").write_text("sentence\tlabel\n" + text)
    reader = {"name": "csv", "delimiter": "\t", "quoting": "none", "text": "sentence", "meta": ["label"]}
    config = PublishedConfig.parse(
        {"name": "published", "splits": {"train": "train.tsv", "test": "dev.tsv"}, "reader": reader},
        where="x",
    )
    first, second = config.read(tmp_path)
    assert first.text == "hide " and first.meta == {"label": "0", "split": "train"}
    assert second.text == 'a "quote' and second.meta == {"label": "1", "split": "test"}
