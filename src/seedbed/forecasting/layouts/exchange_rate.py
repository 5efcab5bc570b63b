"""Exchange rates of eight countries by working day (Lai et al. 2018, LSTNet): numbers alone, no header.

The paper's order: Australia, British pound, Canada, Switzerland, China, Japan, New Zealand, Singapore. Dates
are not in the file: time is counted from 1.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seedbed.forecasting.layouts.base import Layout, existing, reading
from seedbed.forecasting.layouts.wide import unpivot

if TYPE_CHECKING:
    import polars as pl


class ExchangeRateConfig(Layout):
    """Comma separated columns without names, a series each; they are called by their number, from 1."""

    name: Literal["exchange_rate"]
    file: str = "exchange_rate.txt"

    def tables(self, folder: Path) -> Iterator["pl.DataFrame"]:
        import polars as pl

        path = existing(folder / self.file)
        with reading(path, "a table of numbers"):
            table = pl.read_csv(path, has_header=False, infer_schema=False)
        names = [str(number) for number in range(1, table.width + 1)]
        table.columns = names
        yield unpivot(
            table.with_row_index("time", offset=1).with_columns(pl.col("time").cast(pl.Int64)),
            time="time",
            series=names,
            frequency=next(iter(self.frequencies)),
        )

    def where(self, folder: Path) -> str:
        return str(folder / self.file)
