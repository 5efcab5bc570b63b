"""The M4 competition (Makridakis et al. 2020): `<Frequency>-train.csv` and `<Frequency>-test.csv`.

A row is a series: its name, then its values; short rows are padded with empty cells. Dates are not in these
files: time is counted from 1.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seedbed.config import UserError
from seedbed.forecasting.layouts.base import Layout, check_published, existing, long_table, reading

if TYPE_CHECKING:
    import polars as pl


class M4Config(Layout):
    """A pair of files for each frequency that the conf names (weekly: Weekly-train.csv, Weekly-test.csv)."""

    name: Literal["m4"]

    def tables(self, folder: Path) -> Iterator["pl.DataFrame"]:
        found = []
        for frequency, config in self.frequencies.items():
            train, test = (
                _rows(existing(folder / f"{frequency.capitalize()}-{part}.csv")) for part in ("train", "test")
            )
            place = str(folder / f"{frequency.capitalize()}-test.csv")
            for name, values in train.items():
                if name not in test:
                    raise UserError(f"{place}: series {name} is in the train file alone; fetch both again")
                check_published(frequency, config, len(test[name]), f"{place}: series {name}")
                found.append((name, frequency, values + test[name]))
        yield long_table(found)

    def where(self, folder: Path) -> str:
        return str(folder)


def _rows(path: Path) -> dict[str, list[float | None]]:
    """Values by series; an empty cell between values would be a gap, empty cells at the end are padding."""
    rows: dict[str, list[float | None]] = {}
    with reading(path, "CSV"), path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        next(lines, None)
        for line in lines:
            if not any(cell.strip() for cell in line):
                continue
            name, *cells = line
            while cells and not cells[-1].strip():
                cells.pop()
            where = f"{path}: series {name} row {lines.line_num}"
            if name in rows:
                raise UserError(f"{where}: the series is there twice; keep one row a series")
            try:
                rows[name] = [float(cell) if cell.strip() else None for cell in cells]
            except ValueError as error:
                raise UserError(f"{where}: {error}") from None
    if not rows:
        raise UserError(f"{path}: no series; is this a file of M4?")
    return rows
