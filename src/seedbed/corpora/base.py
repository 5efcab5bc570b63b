"""Documents, their files (JSON Lines), and the key without which the test split stays shut."""

import gzip
import io
import json
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from seedbed.config import UserError

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
MAX_LINE_BYTES = 64 << 20
"""A longer line is refused: streaming holds one line, so this bounds the memory of every reader."""


@dataclass(frozen=True, slots=True)
class Document:
    """One unit of a corpus; `meta` holds printed values only, so it survives JSON unchanged."""

    id: str
    text: str
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TestSplit:
    """The key to the test split. The evaluate stage makes one; nothing that trains or tunes may."""

    __test__ = False  # a name in Test... is no pytest class

    opened_by: str


def encode_document(document: Document) -> bytes:
    """One JSON line; a lone surrogate in the text is a fault here, for UTF-8 cannot carry it."""
    line = {"id": document.id, "text": document.text, "meta": dict(document.meta)}
    return json.dumps(line, ensure_ascii=False).encode("utf-8") + b"\n"


def decode_document(line: str, where: str) -> Document:
    """The document of one JSON line found at `where` (file:line)."""
    value = parse_object(line, where)
    unknown = sorted(set(value) - {"id", "text", "meta"})
    identity, text, meta = value.get("id"), value.get("text"), value.get("meta", {})
    if unknown:
        raise UserError(f"{where}: unknown key {unknown[0]!r}; a document has id, text and meta")
    if not isinstance(identity, str) or not isinstance(text, str):
        raise UserError(f"{where}: a document needs the strings 'id' and 'text'; make the corpus again")
    if not isinstance(meta, dict) or not all(isinstance(item, str) for item in meta.values()):
        raise UserError(f"{where}: 'meta' must map names to strings; make the corpus again")
    return Document(identity, text, meta)


def parse_object(line: str, where: str) -> dict[str, object]:
    """The JSON object of one line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{where}: not JSON ({json_fault(error)}); expected one JSON object per line"
        ) from None
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a JSON object, got {type(value).__name__}")
    return value


def json_fault(error: ValueError | RecursionError) -> str:
    """What `json.loads` did not take."""
    match error:
        case json.JSONDecodeError():
            return error.msg
        case ValueError():
            return "a number of thousands of digits"
        case _:
            return "nested too deeply"


def is_encodable(text: str) -> bool:
    """No half of a surrogate pair is in it, which JSON can write and UTF-8 cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def open_binary(path: Path) -> IO[bytes]:
    """Open a file for reading; .xz and .gz are unpacked on the way."""
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    if path.suffix == ".gz":
        # BufferedReader: GzipFile.readline alone is several times slower.
        return io.BufferedReader(gzip.open(path, "rb"), 1 << 20)
    return path.open("rb")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers (from 1) and lines without their end; strict UTF-8, a byte-order mark is dropped."""
    offset, number = 0, 0
    try:
        with open_binary(path) as file:
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(raw) > MAX_LINE_BYTES:
                    raise UserError(
                        f"{path}:{number}: a line longer than {MAX_LINE_BYTES} bytes; "
                        "is this a text file with line ends?"
                    )
                try:
                    line = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise UserError(
                        f"{path}: not UTF-8 at byte {offset + error.start} "
                        f"(line {number}, value 0x{raw[error.start]:02x}); save the file as UTF-8"
                    ) from None
                offset += len(raw)
                yield number, (line.removeprefix("\ufeff") if number == 1 else line).rstrip("\r\n")
    except (lzma.LZMAError, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: damaged compressed file ({error}); fetch it again") from None


def read_documents(path: Path) -> Iterator[Document]:
    """Stream the documents of one JSON Lines file."""
    for number, line in read_lines(path):
        if line.strip():
            yield decode_document(line, f"{path}:{number}")


def read_split(folder: Path, split: Split, key: TestSplit | None = None) -> Iterator[Document]:
    """Stream one split of a preprocessed corpus; `test` opens only to a `TestSplit` key."""
    # Checked at the call, not at the first document: a forbidden reader must fail where it is made.
    if split == "test" and not isinstance(key, TestSplit):
        raise UserError(
            f"{folder}: the test split is opened by `seedbed evaluate` alone; "
            "train and tune on train and valid"
        )
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        raise UserError(f"{path}: no such file; make it with `dvc repro preprocess@{folder.name}`")
    return read_documents(path)
