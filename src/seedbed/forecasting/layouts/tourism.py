"""The tourism competition (Athanasopoulos et al. 2011): `<frequency>_in.csv` and `<frequency>_oos.csv`.

A column is a series. Below its name stand the number of values, the year of the first one and, but for
yearly series, its quarter or month; then the values, padded to the longest series.
"""

import csv
import datetime
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seedbed.config import UserError
from seedbed.forecasting.calendar import Step
from seedbed.forecasting.layouts.base import Layout, check_published, existing, reading

if TYPE_CHECKING:
    import polars as pl


class TourismConfig(Layout):
    """A pair of files for each frequency that the conf names: yearly, quarterly, monthly."""

    name: Literal["tourism"]

    def tables(self, folder: Path) -> Iterator["pl.DataFrame"]:
        import polars as pl

        rows: list[tuple[str, datetime.date, float | None, str]] = []
        for frequency, config in self.frequencies.items():
            months = Step.parse(config.step).months
            if not months:
                raise UserError(
                    f"{folder}: panel.frequencies.{frequency}.step is {config.step}; the series of this "
                    "competition are yearly, quarterly or monthly: 1y, 3mo or 1mo"
                )
            train, test = (
                _columns(existing(folder / f"{frequency}_{part}.csv"), months) for part in ("in", "oos")
            )
            place = str(folder / f"{frequency}_oos.csv")
            for name, (month, values) in train.items():
                if name not in test:
                    raise UserError(f"{place}: no series {name}, which is in the file _in; fetch both again")
                start, ahead = test[name]
                check_published(frequency, config, len(ahead), f"{place}: series {name}")
                # of a published series, Y18, the year of the test part is one too early
                if abs(start - month - months * len(values)) > months:
                    raise UserError(f"{place}: series {name} does not begin where its train part ends")
                whole = [*values, *ahead]
                rows += [
                    (name, _date(month + months * place), value, frequency)
                    for place, value in enumerate(whole)
                ]
        schema = {"unique_id": pl.String, "ds": pl.Date, "y": pl.Float64, "frequency": pl.String}
        yield pl.DataFrame(rows, schema=schema, orient="row")

    def where(self, folder: Path) -> str:
        return str(folder)


def _columns(path: Path, months: int) -> dict[str, tuple[int, list[float | None]]]:
    """By series: months since year 0 of its first value, and its values."""
    with reading(path, "CSV"), path.open(encoding="utf-8-sig", newline="") as file:
        names, *lines = list(csv.reader(file)) or [[]]
    found = {}
    head = 2 if months == 12 else 3
    for name, column in zip(names, zip_longest(*lines, fillvalue=""), strict=False):
        if name in found:
            raise UserError(f"{path}: series {name} is there twice; keep one column a series")
        try:
            length, year, *period = (int(float(cell)) for cell in column[:head])
            if length < 0 or not datetime.MINYEAR <= year <= datetime.MAXYEAR - length:
                raise ValueError(f"{length} values from the year {year} on")
            if period and not 1 <= period[0] <= 12 // months:
                raise ValueError(f"part {period[0]} of the year, expected 1 to {12 // months}")
            values = [_number(cell) for cell in column[head : head + length]]
        except (ValueError, OverflowError) as error:
            raise UserError(f"{path}: series {name}: {error}; is this a file of the competition?") from None
        if len(values) < length:
            raise UserError(f"{path}: series {name} has {len(values)} values, its head says {length}")
        found[name] = (year * 12 + (period[0] - 1) * months if period else year * 12, values)
    if not found:
        raise UserError(f"{path}: no series; is this a file of the tourism competition?")
    return found


def _number(cell: str) -> float | None:
    return None if cell.strip() in ("", "NA") else float(cell)


def _date(month: int) -> datetime.date:
    return datetime.date(month // 12, month % 12 + 1, 1)
