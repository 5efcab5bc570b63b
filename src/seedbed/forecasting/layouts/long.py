"""Long format: one row a point, with unique_id, ds, y and, of several frequencies, frequency.

Rows of different series may be mixed; those of one series must ascend, for a file out of order is more
often a fault than a wish. Other columns are not read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from seedbed.forecasting.layouts.base import Layout
from seedbed.forecasting.panels import read_tables

if TYPE_CHECKING:
    import polars as pl


class LongConfig(Layout):
    """A CSV or Parquet file in long format, or a folder of such files."""

    name: Literal["long"]
    file: str = Field(
        "series.parquet",
        description=".csv or .parquet file in the source's folder, or a folder in it; `.`: itself",
    )

    def tables(self, folder: Path) -> Iterator["pl.DataFrame"]:
        return read_tables(folder / self.file)

    def where(self, folder: Path) -> str:
        return str(folder / self.file)
