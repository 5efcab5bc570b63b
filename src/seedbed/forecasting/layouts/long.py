"""Long format: one row a point, with unique_id, ds, y and, of several frequencies, frequency.

Rows of different series may be mixed; those of one series must ascend, for a file out of order is more
often a fault than a wish. Other columns are read where they are named as covariates.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from seedbed.config import UserError
from seedbed.forecasting.layouts.base import Layout
from seedbed.forecasting.panels import CovariatesConfig, read_tables

if TYPE_CHECKING:
    import polars as pl


class LongConfig(Layout):
    """A CSV or Parquet file in long format, or a folder of such files."""

    name: Literal["long"]
    file: str = Field(
        "series.parquet",
        description=".csv or .parquet file in the source's folder, or a folder in it; `.`: itself",
    )
    covariates: CovariatesConfig = Field(
        CovariatesConfig(), description="columns beside y, and when each is known"
    )
    static_file: str | None = Field(
        None, description="file with unique_id and the static covariates, where they do not stand in `file`"
    )

    @model_validator(mode="after")
    def _a_static_file_has_columns(self) -> Self:
        if self.static_file is not None and not self.covariates.static:
            raise ValueError("static_file needs covariates.static, the columns to read from it; name them")
        return self

    def covered(self) -> CovariatesConfig:
        return self.covariates

    def tables(self, folder: Path) -> Iterator["pl.DataFrame"]:
        tables = read_tables(folder / self.file, others=self.covariates.names)
        if self.static_file is None:
            yield from tables
        else:
            static = self._static(folder / self.static_file)
            for table in tables:
                table = table.drop(self.covariates.static, strict=False)
                # casts: a name of digits is a number in the one file and may be text in the other
                table = table.with_columns(table["unique_id"].cast(static.schema["unique_id"]))
                yield table.join(static, on="unique_id", how="left", maintain_order="left")

    def where(self, folder: Path) -> str:
        return str(folder / self.file)

    def _static(self, path: Path) -> "pl.DataFrame":
        import polars as pl

        table = pl.concat(read_tables(path, others=self.covariates.static))
        for name in ("unique_id", *self.covariates.static):
            if name not in table.columns:
                raise UserError(
                    f"{path}: no column {name!r}; columns: {', '.join(table.columns[1:])[:200]}; correct "
                    "panel.covariates.static"
                )
        for row in table.filter(pl.col("unique_id").is_duplicated()).head(1).iter_rows(named=True):
            raise UserError(
                f"{path}: row {row['row']}: series {row['unique_id']} is there twice; keep one row a series"
            )
        return table.select(pl.col("unique_id").cast(pl.String), *self.covariates.static)
