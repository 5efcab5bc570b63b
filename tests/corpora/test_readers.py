"""Readers: every format to the same documents, faults with file and line."""

import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed.config import Strict, UserError
from seedbed.corpora import Document, Reader
from seedbed.corpora.readers import CsvConfig, JsonlConfig, ParquetConfig, TextConfig


class Holder(Strict):
    reader: Reader


def read(folder: Path, **reader: object) -> list[Document]:
    return list(Holder.parse({"reader": reader}, "preprocess.x").reader.read(folder))


def test_the_name_chooses_the_reader() -> None:
    for config in (JsonlConfig, TextConfig, CsvConfig, ParquetConfig):
        tag = config.__name__.removesuffix("Config").lower()
        assert type(Holder.parse({"reader": {"name": tag}}, "preprocess.x").reader) is config


def test_jsonl(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"text": "나", "meta": {"n": 2, "x": null}}\n\n')
    (tmp_path / "a.jsonl.gz").write_bytes(
        gzip.compress('{"text": "가", "meta": {"n": [1], "x": "y"}}'.encode())
    )
    assert read(tmp_path, name="jsonl", meta=["meta.n", "meta.x"]) == [
        Document("a.jsonl.gz:1", "가", {"n": "[1]", "x": "y"}),
        Document("b.jsonl:1", "나", {"n": "2", "x": ""}),
    ]


@pytest.mark.parametrize(
    "line, reader, fault",
    [
        ('{"body": 1}', {}, r"a\.jsonl:1: no key 'text'; keys: body"),
        ('{"text": 1}', {}, r"a\.jsonl:1: 'text' is int"),
        ('{"text": "a"}', {"id": "key"}, "no key 'key'"),
        ('{"text": "a"}', {"files": "*.json"}, r"no file matches '\*\.json'; files there: a\.jsonl"),
    ],
)
def test_jsonl_faults(tmp_path: Path, line: str, reader: dict[str, object], fault: str) -> None:
    (tmp_path / "a.jsonl").write_text(line)
    with pytest.raises(UserError, match=fault):
        read(tmp_path, name="jsonl", **reader)


def test_text_units(tmp_path: Path) -> None:
    text = "첫 문단\n이어서\n\n\n둘째 문단\n"
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(text.encode()))
    meta = {"file": "a.txt.xz"}
    assert read(tmp_path, name="text") == [Document("a.txt.xz", text.rstrip("\n"), meta)]
    assert read(tmp_path, name="text", unit="paragraph") == [
        Document("a.txt.xz:1", "첫 문단\n이어서", meta),
        Document("a.txt.xz:5", "둘째 문단", meta),
    ]
    assert [d.text for d in read(tmp_path, name="text", unit="line")] == ["첫 문단", "이어서", "둘째 문단"]


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text,label\n1,"가, ""나""\n다",0\n', encoding="utf-8-sig")
    assert read(tmp_path, name="csv", id="id", meta=["label"]) == [
        Document("1", '가, "나"\n다', {"label": "0"})
    ]


def test_tsv_without_quoting(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('1\t"열린 따옴표\t0\n2\t굳 ㅋ\t1\n')
    got = read(
        tmp_path,
        name="csv",
        files="*.tsv",
        delimiter="\t",
        quoting="none",
        columns=["id", "document", "label"],
        text="document",
        id="id",
        meta=["label"],
    )
    assert got == [Document("1", '"열린 따옴표', {"label": "0"}), Document("2", "굳 ㅋ", {"label": "1"})]


@pytest.mark.parametrize(
    "text, fault",
    [
        ("id,body\n1,a\n", "no column 'text'; columns: id, body; correct the reader's `text`"),
        ("", "no column 'text'; columns: none"),
        ("text,text\na,b\n", "2 columns 'text'; name one otherwise"),
        ("id,text\n1,a,b\n", r"a\.csv:2: 3 fields, the header has 2"),
        ('id,text\n1,"open\n', "quoting: none"),
    ],
)
def test_csv_faults(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=fault):
        read(tmp_path, name="csv")


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["가", None], "label": [1, 0]}), tmp_path / "a.parquet")
    assert read(tmp_path, name="parquet", meta=["label"]) == [
        Document("a.parquet:1", "가", {"label": "1"}),
        Document("a.parquet:2", "", {"label": "0"}),
    ]
    with pytest.raises(UserError, match="no column 'body'; columns: text, label"):
        read(tmp_path, name="parquet", text="body")
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read(tmp_path, name="parquet")


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("한국어".encode("cp949"))
    with pytest.raises(UserError, match="not UTF-8 at byte 0"):
        read(tmp_path, name="text")
