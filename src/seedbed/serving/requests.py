"""What a request may hold: JSON of texts or pairs; everything else is told in one line with a 4xx."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from seedbed.corpora.base import is_encodable, json_fault

MAX_BODY_BYTES = 256 * 1024
"""A model reads the first few hundred tokens of a text; a larger body is a mistake or an attack."""
MAX_TEXTS = 256
Kind = Literal["texts", "pairs", "choices"]
SHAPES: Mapping[Kind, str] = {
    "texts": '{"texts": ["a text", ...]}',
    "pairs": '{"pairs": [["first", "second"], ...]}',
    "choices": '{"choices": [["a text", "first choice", "second choice", ...], ...]}',
}
SHAPE = " or ".join(SHAPES.values())


class BadRequest(Exception):
    """The client's fault: an HTTP status from 400 to 499 and one line on what to change."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Query:
    """Questions in order, each the texts that it is made of: one, two, or a text and its choices."""

    kind: Kind
    rows: tuple[tuple[str, ...], ...]


def check_type(content_type: str) -> None:
    """JSON in UTF-8, or a type left open."""
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() not in ("", "application/json"):
        raise BadRequest(415, f"content-type {kind.strip()!r}: send application/json")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise BadRequest(415, f"charset {charset!r}: send UTF-8")


def parse(body: bytes) -> Query:
    """The query of a request's body. Raises BadRequest."""
    if not body.strip():
        raise BadRequest(400, f"the body is empty; send {SHAPE}")
    try:
        value = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadRequest(400, f"the body is not UTF-8 at byte {error.start}; encode it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        at = f", byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadRequest(400, f"the body is not JSON ({json_fault(error)}{at}); send {SHAPE}") from None
    if not isinstance(value, dict) or len(value) != 1 or not set(value) <= set(SHAPES):
        came = (
            f"keys {', '.join(map(ascii, sorted(value)[:5]))}"
            if isinstance(value, dict) and value
            else _kind(value)
        )
        raise BadRequest(400, f"got {came}; send {SHAPE}"[:400])
    (name, items) = next(iter(value.items()))
    if not isinstance(items, list) or not items:
        raise BadRequest(400, f"{name} is {_kind(items)}; send a list of 1 to {MAX_TEXTS}")
    if len(items) > MAX_TEXTS:
        raise BadRequest(413, f"{name} holds {len(items)}; send at most {MAX_TEXTS} at once")
    if name == "texts":
        return Query(name, tuple((_text(item, f"texts[{i}]"),) for i, item in enumerate(items)))
    wanted = "two texts" if name == "pairs" else "a text and at least two choices, as many as in choices[0]"
    for i, item in enumerate(items):
        first = items[0] if isinstance(items[0], list) else []
        right = 2 if name == "pairs" else max(3, len(first))
        if not isinstance(item, list) or len(item) != right:
            raise BadRequest(400, f"{name}[{i}] is {_kind(item)}; send a list of {wanted}")
    return Query(
        name,
        tuple(
            tuple(_text(part, f"{name}[{i}][{place}]") for place, part in enumerate(item))
            for i, item in enumerate(items)
        ),
    )


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(400, f"{where} is {_kind(value)}; send a text")
    if not value.strip():
        raise BadRequest(400, f"{where} is blank; send a text")
    if not is_encodable(value):
        raise BadRequest(400, f"{where} holds half a surrogate pair; send whole characters")
    return value


def _kind(value: object) -> str:
    """The JSON name of a value's type."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return "an object" if value else "an empty object"
