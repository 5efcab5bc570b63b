"""One JSON file that holds an array of objects, as KLUE publishes its pairs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from seedbed.config import UserError
from seedbed.corpora.base import Document, read_lines
from seedbed.corpora.readers import ObjectsConfig, matching


class JsonConfig(ObjectsConfig):
    """An array of objects, held in memory as a whole; a dotted name reaches into nested objects."""

    name: Literal["json"]
    files: str = Field("**/*.json*", description="pattern below the source's folder")

    def read(self, folder: Path) -> Iterator[Document]:
        for path, name in matching(folder, self.files):
            for number, value in enumerate(self._array(path), 1):
                where = f"{path}:item {number}"
                yield self._document(value, default_id=f"{name}:{number}", where=where)

    @staticmethod
    def _array(path: Path) -> list[object]:
        value = read_json(path)
        if not isinstance(value, list):
            raise UserError(f"{path}: a {type(value).__name__}, expected an array of objects")
        return value


def read_json(path: Path) -> object:
    """The value of a whole file (.xz and .gz are unpacked on the way)."""
    try:
        value: object = json.loads("\n".join(line for _, line in read_lines(path)))
    except (json.JSONDecodeError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        raise UserError(f"{path}: not JSON ({reason}); fetch it again") from None
    return value
