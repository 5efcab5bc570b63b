"""Readers: how the files of a raw folder become documents, one at a time."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora.base import MAX_LINE_BYTES, Document, parse_object, read_lines


class ObjectsConfig(Strict):
    """JSON objects as documents; a dotted name reaches into nested objects."""

    text: str = "text"
    id: str | None = Field(None, description="key of the id; default: file:number")
    meta: tuple[str, ...] = Field((), description="keys kept with the document, under their last part")

    def _document(self, value: object, *, default_id: str, where: str) -> Document:
        text = reach(value, self.text, where)
        if not isinstance(text, str):
            raise UserError(f"{where}: {self.text!r} is {type(text).__name__}, expected a string")
        identity = default_id if self.id is None else printed(reach(value, self.id, where))
        meta = {key.rsplit(".", 1)[-1]: printed(reach(value, key, where)) for key in self.meta}
        return Document(identity, text, meta)


class JsonlConfig(ObjectsConfig):
    """One JSON object per line; a dotted name reaches into nested objects."""

    name: Literal["jsonl"]
    files: str = Field("**/*.jsonl*", description="pattern below the source's folder")

    def read(self, folder: Path) -> Iterator[Document]:
        for path, name in matching(folder, self.files):
            for number, line in read_lines(path):
                if not line.strip():
                    continue
                where = f"{path}:{number}"
                value = parse_object(line, where)
                yield self._document(value, default_id=f"{name}:{number}", where=where)


class TextConfig(Strict):
    """Plain text: whole files, paragraphs (parted by empty lines) or lines."""

    name: Literal["text"]
    files: str = "**/*.txt*"
    unit: Literal["file", "paragraph", "line"] = "file"

    def read(self, folder: Path) -> Iterator[Document]:
        """With `file`, one file is held in memory at a time. Each document's meta has its `file`."""
        for path, name in matching(folder, self.files):
            meta = {"file": name}
            if self.unit == "file":
                yield Document(name, "\n".join(line for _, line in read_lines(path)), meta)
                continue
            for number, text in self._pieces(read_lines(path)):
                yield Document(f"{name}:{number}", text, meta)

    def _pieces(self, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        first = 0
        piece: list[str] = []
        for number, line in lines:
            if self.unit == "line":
                if line.strip():
                    yield number, line
            elif line.strip():
                first = first if piece else number
                piece.append(line)
            elif piece:
                yield first, "\n".join(piece)
                piece = []
        if piece:
            yield first, "\n".join(piece)


class CsvConfig(Strict):
    """Columns of a delimited table with a header, or without one when `columns` names them."""

    name: Literal["csv"]
    files: str = "**/*.csv*"
    delimiter: str = Field(",", min_length=1, max_length=1)
    quoting: Literal["standard", "none"] = "standard"
    columns: tuple[str, ...] | None = Field(None, description="column names of files without a header")
    text: str = "text"
    id: str | None = None
    meta: tuple[str, ...] = ()

    def read(self, folder: Path) -> Iterator[Document]:
        for path, name in matching(folder, self.files):
            rows = self._rows(path)
            header = list(self.columns) if self.columns else next(rows, (0, []))[1]
            needed = [self.text, *([self.id] if self.id else []), *self.meta]
            for column in needed:
                if column not in header:
                    raise _no_column(path, column, header)
                if header.count(column) > 1:
                    raise UserError(f"{path}: {header.count(column)} columns {column!r}; name one otherwise")
            place = {column: header.index(column) for column in needed}
            for number, row in rows:
                if len(row) != len(header):
                    raise UserError(
                        f"{path}:{number}: {len(row)} fields, the header has {len(header)}; "
                        f"check delimiter {self.delimiter!r} and quoting {self.quoting!r}"
                    )
                identity = row[place[self.id]] if self.id else f"{name}:{number}"
                yield Document(identity, row[place[self.text]], {key: row[place[key]] for key in self.meta})

    def _rows(self, path: Path) -> Iterator[tuple[int, list[str]]]:
        if self.quoting == "none":
            for number, line in read_lines(path):
                if line:
                    yield number, line.split(self.delimiter)
            return
        yield from csv_rows(path, delimiter=self.delimiter, remedy="try `quoting: none`")


def csv_rows(path: Path, *, delimiter: str, remedy: str) -> Iterator[tuple[int, list[str]]]:
    """The line a row ends on, and its fields; a quoted field may hold line ends, empty lines are none."""
    # Process-wide, but the module's own default (128 KiB) refuses ordinary documents.
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader((line + "\n" for _, line in read_lines(path)), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}; {remedy}") from None


class ParquetConfig(Strict):
    """Columns of Parquet files, read batch by batch."""

    name: Literal["parquet"]
    files: str = "**/*.parquet"
    text: str = "text"
    id: str | None = None
    meta: tuple[str, ...] = ()

    def read(self, folder: Path) -> Iterator[Document]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for path, name in matching(folder, self.files):
            needed = [self.text, *([self.id] if self.id else []), *self.meta]
            try:
                with pq.ParquetFile(path) as file:
                    for column in needed:
                        if column not in file.schema_arrow.names:
                            raise _no_column(path, column, file.schema_arrow.names)
                    number = 0
                    for batch in file.iter_batches(1024, columns=list(dict.fromkeys(needed))):
                        for row in batch.to_pylist():
                            number += 1
                            yield self._document(row, f"{name}:{number}")
            except pa.ArrowInvalid as error:
                raise UserError(
                    f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})"
                ) from None

    def _document(self, row: dict[str, object], place: str) -> Document:
        text = row[self.text]
        if text is not None and not isinstance(text, str):
            raise UserError(f"{place}: column {self.text!r} holds {type(text).__name__}, expected text")
        identity = printed(row[self.id]) if self.id else place
        return Document(identity, text or "", {key: printed(row[key]) for key in self.meta})


def _no_column(path: Path, column: str, columns: Sequence[str]) -> UserError:
    return UserError(
        f"{path}: no column {column!r}; columns: {', '.join(columns)[:200] or 'none'}; correct the reader's "
        "`text`, `id`, `meta` or `delimiter`"
    )


def matching(folder: Path, pattern: str) -> list[tuple[Path, str]]:
    """The files of a pattern with their relative names, sorted; none is an error."""
    found = sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in folder.glob(pattern)
        if path.is_file() and path != folder / "manifest.json"
    )
    if not found:
        here = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        raise UserError(
            f"{folder}: no file matches {pattern!r}; files there: {', '.join(here)[:200] or 'none'}"
        )
    return [(path, name) for name, path in found]


def reach(value: object, dotted: str, where: str) -> object:
    # A key with a dot in its own name is found first, as it stands.
    if isinstance(value, dict) and dotted in value:
        return value[dotted]
    for part in dotted.split("."):
        if not isinstance(value, dict) or part not in value:
            known = f"; keys: {', '.join(map(str, value))[:200]}" if isinstance(value, dict) else ""
            raise UserError(f"{where}: no key {dotted!r}{known}")
        value = value[part]
    return value


def printed(value: object) -> str:
    """Text as it is, nothing for null, anything else as JSON (or its Python name)."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
