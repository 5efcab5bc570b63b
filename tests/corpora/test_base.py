"""Documents on disk: round trip, strictness, and the locked test split."""

import gzip
import lzma
from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.corpora.base import (
    Document,
    TestSplit,
    encode_document,
    read_documents,
    read_lines,
    read_split,
)

KOREAN = Document("가/1", "한국어와 English 그리고 👩‍👩‍👧 이모지\n둘째 줄\u2028셋째", {"licence": "CC0 1.0"})


@pytest.mark.parametrize("suffix, pack", [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_round_trip(tmp_path: Path, suffix: str, pack) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(pack(encode_document(KOREAN) * 3))
    assert list(read_documents(path)) == [KOREAN] * 3


def test_not_utf8_names_file_and_offset(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("가나\n".encode() + "다".encode("cp949"))
    with pytest.raises(UserError, match=r"a\.txt: not UTF-8 at byte 7 \(line 2"):
        list(read_lines(path))


def test_byte_order_mark_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\nfour")
    assert list(read_lines(path)) == [(1, "one"), (2, "two"), (3, ""), (4, "four")]


def test_damaged_xz(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.xz"
    path.write_bytes(lzma.compress(encode_document(KOREAN) * 100)[:-20])
    with pytest.raises(UserError, match="damaged compressed file"):
        list(read_documents(path))


@pytest.mark.parametrize(
    "line, fault",
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object, got list"),
        ('{"id": "a"}', "needs the strings"),
        ('{"id": "a", "text": "b", "label": 1}', "unknown key 'label'"),
        ('{"id": "a", "text": "b", "meta": {"n": 1}}', "'meta' must map names to strings"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_malformed_line_names_file_and_line(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(encode_document(KOREAN) + line.encode() + b"\n")
    with pytest.raises(UserError, match=rf"a\.jsonl:2: .*{fault}"):
        list(read_documents(path))


def test_test_split_needs_the_key(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_bytes(encode_document(KOREAN))
    assert list(read_split(tmp_path, "train")) == [KOREAN]
    with pytest.raises(UserError, match="test split is opened by `seedbed evaluate` alone"):
        read_split(tmp_path, "test")  # at the call, before any document
    with pytest.raises(UserError):
        read_split(tmp_path, "test", key="evaluate")  # type: ignore[arg-type]
    assert list(read_split(tmp_path, "test", TestSplit("a test"))) == [KOREAN]
    with pytest.raises(UserError, match=r"valid\.jsonl: no such file"):
        read_split(tmp_path, "valid")
