"""Electricity transformer temperatures (Zhou et al. 2021, Informer): `date` and seven columns, wide CSV.

ETTh1 and ETTh2 are hourly, ETTm1 and ETTm2 every 15 minutes. A panel's test part is the last horizon; the
paper's rolling test over months is a matter of backtests, not of this file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from seedbed.config import UserError
from seedbed.forecasting.layouts.base import Layout, existing, reading
from seedbed.forecasting.layouts.wide import unpivot
from seedbed.forecasting.panels import CovariatesConfig

if TYPE_CHECKING:
    import polars as pl


class ETTConfig(Layout):
    """A wide CSV with a header and one column of dates: ETT's own, and any other that is written so."""

    name: Literal["ett"]
    file: str = "ETTh1.csv"
    time: str = Field("date", description="the column of dates")
    series: tuple[str, ...] = Field((), description="columns to read; empty: all but the dates")
    covariates: CovariatesConfig = Field(
        CovariatesConfig(), description="columns that stand beside every series, past or future"
    )

    @model_validator(mode="after")
    def _a_column_is_a_series_or_a_covariate(self) -> Self:
        if self.covariates.static:
            raise ValueError("covariates.static: a wide file has a column a series, so nothing is static")
        twice = set(self.series) & set(self.covariates.names)
        if twice:
            raise ValueError(f"column {min(twice)} is a series and a covariate; keep one of the two")
        return self

    def covered(self) -> CovariatesConfig:
        return self.covariates

    def tables(self, folder: Path) -> Iterator["pl.DataFrame"]:
        import polars as pl

        path = existing(folder / self.file)
        with reading(path, "CSV"):
            table = pl.read_csv(path, try_parse_dates=True, infer_schema_length=None)
        beside = self.covariates.names
        names = self.series or tuple(name for name in table.columns if name not in (self.time, *beside))
        for name in (self.time, *names, *beside):
            if name not in table.columns:
                raise UserError(
                    f"{path}: no column {name!r}; columns: {', '.join(table.columns)[:200]}; correct "
                    "panel.time, panel.series or panel.covariates"
                )
        kinds = {table.schema[name] for name in names}
        if len(kinds) > 1:
            table = table.with_columns(pl.col(names).cast(pl.String))
        frequency = next(iter(self.frequencies))
        yield unpivot(table, time=self.time, series=names, frequency=frequency, beside=beside)

    def where(self, folder: Path) -> str:
        return str(folder / self.file)
