"""Texts from a file, for batches of predictions: plain lines, CSV or TSV with a header, JSON Lines."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seedbed.config import UserError
from seedbed.corpora.base import is_encodable, parse_object, read_lines
from seedbed.corpora.readers import csv_rows
from seedbed.tasks.examples import Asks

COLUMNS = ("id", "text", "pair", "choices")


@dataclass(frozen=True)
class Input:
    """A text, a pair of texts, or a text with choices; without an id of its own it is called by its line."""

    id: str
    text: str
    pair: str | None
    choices: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.text, *self.choices) if self.pair is None else (self.text, self.pair)

    @property
    def kind(self) -> Asks:
        return "choices" if self.choices else "texts" if self.pair is None else "pairs"


def read_inputs(path: Path) -> Iterator[Input]:
    """The inputs of a .txt, .csv, .tsv or .jsonl file, in order; every fault is told with its line."""
    readers = {".txt": _lines, ".csv": _table, ".tsv": _table, ".jsonl": _objects}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise UserError(f"{path}: cannot read {suffix or 'a file without a suffix'}; "
                        f"give one of {', '.join(readers)}")  # fmt: skip
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a file with texts")
    kinds: set[Asks] = set()
    for one in readers[suffix](path):
        if not all(part.strip() for part in one.parts):
            raise UserError(f"{path}: {one.id}: a blank text; remove it or fill it in")
        kinds.add(one.kind)
        if len(kinds) > 1:
            raise UserError(f"{path}: {one.id}: single texts and pairs or choices in one file; give one kind")
        yield one
    if not kinds:
        raise UserError(f"{path}: no text in it; give a file with texts")


def _lines(path: Path) -> Iterator[Input]:
    for number, line in read_lines(path):
        yield Input(f"line {number}", line, None)


def _objects(path: Path) -> Iterator[Input]:
    for number, line in read_lines(path):
        if line.strip():
            value = parse_object(line, f"{path}:{number}")
            yield _input(value, f"{path}:{number}", number)


def _table(path: Path) -> Iterator[Input]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows = csv_rows(path, delimiter=delimiter, remedy="write the file again")
    _, header = next(rows, (0, list[str]()))
    if "text" not in header:
        raise UserError(f"{path}:1: no column text in {', '.join(header)[:80] or 'line one'}; add it")
    if twice := [column for column in COLUMNS if header.count(column) > 1]:
        raise UserError(f"{path}:1: {header.count(twice[0])} columns {twice[0]}; name one otherwise")
    for number, row in rows:
        where = f"{path}:{number}"
        if len(row) != len(header):
            raise UserError(f"{where}: {len(row)} fields under {len(header)} columns; quote the text")
        named = dict(zip(header, row, strict=True))
        yield _input({k: v for k, v in named.items() if k in COLUMNS}, where, number)


def _input(value: dict[str, object], where: str, number: int) -> Input:
    text, pair, identity = value.get("text"), value.get("pair"), value.get("id", f"line {number}")
    if not isinstance(text, str) or not isinstance(pair, str | None) or not isinstance(identity, str | int):
        raise UserError(f"{where}: text must be a text, pair a text or left out, id a text or a number")
    one = Input(str(identity), text, pair, _choices(value.get("choices"), where))
    if not all(is_encodable(part) for part in (one.id, *one.parts)):
        raise UserError(f"{where}: half a surrogate pair in it; write whole characters")
    return one


def _choices(value: object, where: str) -> tuple[str, ...]:
    """A list of texts, in a table as JSON."""
    if isinstance(value, str):
        try:
            return _choices(json.loads(value), where)
        except (ValueError, RecursionError):
            raise UserError(f"{where}: choices is no JSON list: {value[:40]!r}; write it as one") from None
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(one, str) for one in value):
        raise UserError(f"{where}: choices must be a list of at least two texts")
    return tuple(value)
