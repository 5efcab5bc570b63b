"""The NN5 competition: daily withdrawals from 111 cash machines (Ben Taieb et al. 2012), with gaps.

Tab separated, a column a machine, first column Day (18-Mar-96). The published test part is the last 56 of
791 days.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from seedbed.config import UserError
from seedbed.forecasting.layouts.base import Layout, existing, reading
from seedbed.forecasting.layouts.wide import unpivot

if TYPE_CHECKING:
    import polars as pl

TIME = "Day"


class NN5Config(Layout):
    """One frequency; empty cells are gaps."""

    name: Literal["nn5"]
    file: str = "NN5-Final-Dataset.csv"

    @model_validator(mode="after")
    def _one_frequency(self) -> Self:
        if len(self.frequencies) > 1:
            raise ValueError("nn5 has one frequency; keep one in panel.frequencies")
        return self

    def tables(self, folder: Path) -> Iterator["pl.DataFrame"]:
        import polars as pl

        path = existing(folder / self.file)
        with reading(path, "a table with tabs"):
            table = pl.read_csv(path, separator="\t", infer_schema=False)
        if TIME not in table.columns:
            raise UserError(f"{path}: no column {TIME!r}; is this the file of NN5?")
        days = table[TIME].str.to_date("%d-%b-%y", strict=False)
        bad = table.filter(days.is_null())
        if bad.height:
            raise UserError(f"{path}: {TIME} is {bad[TIME][0]!r}, expected a day like 18-Mar-96")
        names = [name for name in table.columns if name.startswith("NN5-")]
        yield unpivot(
            table.with_columns(days.alias(TIME)),
            time=TIME,
            series=names,
            frequency=next(iter(self.frequencies)),
        )

    def where(self, folder: Path) -> str:
        return str(folder / self.file)
