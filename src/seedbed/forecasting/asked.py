"""What a user says of the columns beside unique_id, ds and y, and what is said of those that go unnamed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from seedbed.config import Strict, UserError
from seedbed.forecasting.fitting import Level
from seedbed.forecasting.panels import CovariatesConfig
from seedbed.forecasting.panels.checks import MISSING_WORDS
from seedbed.forecasting.panels.covariates import Period
from seedbed.forecasting.panels.tables import OWN_ROW

if TYPE_CHECKING:
    import polars as pl

LONG_FORMAT = ("unique_id", "ds", "y")
LONG = (*LONG_FORMAT, "frequency", "row")


def _words(value: object) -> object:
    """[price, promo] and price,promo, as a command line has them."""
    if isinstance(value, str):
        value = [word for part in value.strip("[] ").split(",") if (word := part.strip(" \"'"))]
    return tuple(value) if isinstance(value, list) else value


Columns = Annotated[tuple[str, ...], BeforeValidator(_words)]
Calendar = Annotated[tuple[Period, ...], BeforeValidator(_words)]


def _levels(value: object) -> object:
    """80 and 80,95 too, as a command line has them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, str) and all(word.strip().isdigit() for word in value.strip("[] ").split(",")):
        value = [int(word) for word in value.strip("[] ").split(",")]
    return tuple(value) if isinstance(value, list) else value


Levels = Annotated[tuple[Level, ...], BeforeValidator(_levels)]


class ColumnOptions(Strict):
    """What the columns of long format are called, as in Nixtla's libraries."""

    id_col: str = Field("unique_id", description="the column of the series' names")
    time_col: str = Field("ds", description="the column of dates, times or integers")
    target_col: str = Field("y", description="the column of values")

    _id_type: Any = PrivateAttr(None)

    @model_validator(mode="after")
    def _columns_are_told_apart(self) -> Self:
        if len({self.id_col, self.time_col, self.target_col}) < len(LONG_FORMAT):
            raise ValueError("id_col, time_col and target_col: two of them are one column; name three")
        if "row" in (self.id_col, self.time_col, self.target_col):
            raise ValueError("id_col, time_col and target_col: row numbers the rows here; rename that column")
        return self

    def renamed(self, table: "pl.DataFrame", where: str, *, target: bool = True) -> "pl.DataFrame":
        """The table with its columns as long format calls them; without `target` it has no y.

        `restored` gives forecasts the names of this table's columns, and its names of series their type.
        """
        own = (self.id_col, self.time_col, self.target_col)
        names = {theirs: name for theirs, name in zip(own, LONG_FORMAT, strict=True) if theirs != name}
        if not target:
            names.pop(self.target_col, None)
        for theirs, name in names.items():
            if theirs not in table.columns:
                there = ", ".join(column for column in table.columns if column != "row")
                raise UserError(f"{where}: no column {theirs!r}, named for {name}; columns: {there[:200]}")
        self._id_type = table.schema.get(self.id_col)
        # a column that bears the name already is another one, which nobody named
        return table.drop(set(names.values()) - set(names), strict=False).rename(names)

    def restored(self, forecasts: "pl.DataFrame") -> "pl.DataFrame":
        """Forecasts as the table that was renamed: its columns' names, numbers where series are numbered."""
        if self._id_type is not None and self._id_type.is_integer():
            # 7 and not "7": else the forecasts do not join to the table
            forecasts = forecasts.with_columns(forecasts["unique_id"].cast(self._id_type))
        return forecasts.rename({"unique_id": self.id_col, "ds": self.time_col})


class CovariateOptions(Strict):
    """Columns beside unique_id, ds and y."""

    past: Columns = Field((), description="columns known up to the last y")
    future: Columns = Field((), description="columns known ahead: their rows go on after the last y")
    static: Columns = Field((), description="columns constant within each series")
    calendar: Calendar = Field((), description="what dates tell: hour, weekday, day (of the month), month")

    def covariates(self, where: str) -> CovariatesConfig:
        given = {kind: list(getattr(self, kind)) for kind in CovariatesConfig.model_fields}
        return CovariatesConfig.parse(given, where)


def as_table(frame: object) -> "pl.DataFrame":
    """A pandas or polars frame as a polars one; UserError where it is none, or no table."""
    import pandas as pd
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        return frame.rename({"row": OWN_ROW}, strict=False)
    if not isinstance(frame, pd.DataFrame):
        raise UserError(f"frame: {type(frame).__name__}, expected a DataFrame of pandas or polars")
    columns = frame.columns.tolist()
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"frame: two columns {twice!r}; keep one")
    frame = frame.copy(deep=False)
    for name, column in frame.items():
        if isinstance(column.dtype, pd.PeriodDtype):
            frame[name] = column.dt.to_timestamp()
        elif column.dtype == object and len({type(value) for value in column.dropna()}) > 1:
            # a column of several types is text, whose faults the checks tell by series and row
            frame[name] = column.map(str).where(column.notna(), None)
        elif column.dtype.kind == "c":
            raise UserError(f"frame: column {name!r} is {column.dtype}, expected real numbers; convert it")
    named = [name for name in frame.index.names if name is not None and name not in columns]
    return pl.from_pandas(frame.reset_index(named, drop=not named)).rename({"row": OWN_ROW}, strict=False)


def check_named(table: "pl.DataFrame", covariates: CovariatesConfig, where: str) -> None:
    """UserError where a covariate is no column."""
    for name in covariates.names:
        if name not in table.columns:
            there = ", ".join(column for column in table.columns if column != "row")
            raise UserError(f"{where}: no column {name!r}, named as a covariate; columns: {there[:200]}")


def unread(table: "pl.DataFrame", covariates: CovariatesConfig, *, saved: bool = False) -> list[str]:
    """A line on the columns that nothing is made of, if any."""
    others = [name for name in table.columns if name not in (*LONG, *covariates.names)]
    told = []
    if "frequency" in table.columns and not saved:
        told.append("column not read: frequency; steps are inferred from the dates, or given as step=1mo")
    if not others:
        return told
    names = ",".join(others)[:200]
    if saved:
        return [*told, f"columns not read: {names}; the saved forecaster has no use for them"]
    return [
        *told,
        f"columns not read: {names}; name those known ahead future=[{names}], those known only up to the "
        "last y past=[..], those constant in a series static=[..]",
    ]


def horizon_ahead(table: "pl.DataFrame") -> int | None:
    """How many rows without y most series end with; None where that is none."""
    import polars as pl

    known = pl.col("y").cast(pl.String).str.strip_chars().fill_null("").is_in(MISSING_WORDS).not_()
    numbered = table.with_columns(place=pl.int_range(pl.len()).over("unique_id"))
    counts = numbered.group_by("unique_id").agg(
        ahead=pl.len() - 1 - pl.col("place").filter(known).max().fill_null(-1)
    )
    usual = counts["ahead"].mode().max()
    return int(str(usual)) or None


def with_future(table: "pl.DataFrame", future: "pl.DataFrame", *, where: str) -> "pl.DataFrame":
    """The rows of both; those of `future` have no y, and their row numbers go on after the table's."""
    import polars as pl

    if "y" in future.columns:
        raise UserError(
            f"{where}: future_file has a column y, expected unique_id, ds and what is known ahead; take y out"
        )
    if "row" in table.columns and "row" in future.columns:
        future = future.with_columns(pl.col("row") + table.height)
    try:
        return pl.concat([table, future], how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{where}: the columns of both files differ in kind: {reason}; write them alike"
        ) from None


def only(table: "pl.DataFrame", columns: Sequence[str]) -> "pl.DataFrame":
    """The columns of long format and these."""
    return table.select(name for name in table.columns if name in (*LONG, *columns))


def nbeatsx(nbeats: dict[str, Any], covariates: CovariatesConfig) -> dict[str, Any]:
    """The default N-BEATS made one that takes covariates, with a stack of those known ahead, if any."""
    stacks = list(nbeats["model"]["stacks"])
    if covariates.ahead:
        stacks.append({"name": "exogenous", "width": stacks[0]["width"]})
    return nbeats | {"model": {"name": "nbeatsx", "stacks": stacks}}
