"""Electricity transformer temperatures (Zhou et al. 2021, Informer): `date` and seven columns, wide CSV.

ETTh1 and ETTh2 are hourly, ETTm1 and ETTm2 every 15 minutes. A panel's test part is the last horizon; the
paper's rolling test over months is a matter of backtests, not of this file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from seedbed.config import UserError
from seedbed.forecasting.layouts.base import Layout, existing
from seedbed.forecasting.layouts.wide import unpivot

if TYPE_CHECKING:
    import polars as pl


class ETTConfig(Layout):
    """A wide CSV with a header and one column of dates: ETT's own, and any other that is written so."""

    name: Literal["ett"]
    file: str = "ETTh1.csv"
    time: str = Field("date", description="the column of dates")
    series: tuple[str, ...] = Field((), description="columns to read; empty: all but the dates")

    def tables(self, folder: Path) -> Iterator["pl.DataFrame"]:
        import polars as pl

        path = existing(folder / self.file)
        try:
            table = pl.read_csv(path, try_parse_dates=True, infer_schema_length=None)
        except pl.exceptions.PolarsError as error:
            raise UserError(f"{path}: not readable as CSV: {str(error).splitlines()[0]}") from None
        names = self.series or tuple(name for name in table.columns if name != self.time)
        for name in (self.time, *names):
            if name not in table.columns:
                raise UserError(
                    f"{path}: no column {name!r}; columns: {', '.join(table.columns)[:200]}; correct "
                    "panel.time or panel.series"
                )
        kinds = {table.schema[name] for name in names}
        if len(kinds) > 1:
            table = table.with_columns(pl.col(names).cast(pl.String))
        yield unpivot(table, time=self.time, series=names, frequency=next(iter(self.frequencies)))

    def where(self, folder: Path) -> str:
        return str(folder / self.file)
