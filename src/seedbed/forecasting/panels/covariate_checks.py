"""What may be wrong with covariates, told by series and row, or sieved out with the series and counted.

Inside a gathering a covariate's column is called `covariate/<name>`, so that no name of a user's is ours.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed.config import UserError
from seedbed.forecasting.panels.checks import MISSING_WORDS
from seedbed.forecasting.panels.covariates import CovariatesConfig, Floats, Integers
from seedbed.forecasting.panels.sieve import Sieve

if TYPE_CHECKING:
    import polars as pl

PREFIX = "covariate/"
LARGEST = 1e30
"""Networks compute in float32."""


def columns_of(covariates: CovariatesConfig, columns: Sequence[str], where: str) -> "list[pl.Expr]":
    """The covariates' columns under the names of a gathering; UserError names one that is not there."""
    import polars as pl

    for kind in ("past", "future", "static"):
        for name in getattr(covariates, kind):
            if name not in columns:
                there = ", ".join(column for column in columns if column != "row")
                raise UserError(
                    f"{where}: no column {name!r}, a {kind} covariate; columns: {there[:200]}; add it, or "
                    f"leave it out of covariates.{kind}"
                )
    return [pl.col(name).alias(PREFIX + name) for name in covariates.names]


def check_numbers(table: "pl.DataFrame", covariates: CovariatesConfig, sieve: Sieve) -> "pl.DataFrame":
    """Covariates become float64, null where missing; text and what is infinite or huge are faults."""
    import polars as pl

    for name in covariates.names:
        column = pl.col(PREFIX + name)
        kind = table.schema[PREFIX + name]
        if kind == pl.String:
            words = column.str.strip_chars()
            table = table.with_columns(pl.when(~words.is_in(MISSING_WORDS)).then(words).alias(PREFIX + name))
            table = sieve.check(
                table,
                column.is_not_null() & column.cast(pl.Float64, strict=False).is_null(),
                "covariate not a number",
                lambda row, name=name: (  # type: ignore[misc]
                    f"series {row['unique_id']} row {row['row']}: covariate {name} is "
                    f"{row[PREFIX + name]!r}, expected a number; write kinds as columns of 0 and 1"
                ),
            )
        elif not (kind.is_numeric() or kind in (pl.Null, pl.Boolean)):
            raise UserError(f"{sieve.where}: covariate {name} is {kind}, expected numbers; convert it")
        table = table.with_columns(column.cast(pl.Float64).fill_nan(None))
        table = sieve.check(
            table,
            column.abs() > LARGEST,
            "covariate too large",
            lambda row, name=name: (  # type: ignore[misc]
                f"series {row['unique_id']} row {row['row']}: covariate {name} is {row[PREFIX + name]!r}, "
                f"expected at most {LARGEST:g}; mend it"
            ),
        )
    return table


def split_ahead(
    table: "pl.DataFrame", covariates: CovariatesConfig, horizon: int
) -> "tuple[pl.DataFrame, pl.DataFrame]":
    """The rows up to each series' last y, and those of the horizon after it (column `step_ahead` from 0 on).

    Where a covariate is known up to the last y alone, nothing is read of later rows. Where no column varies
    with time, rows without y at the end are gaps as elsewhere.
    """
    import polars as pl

    last = pl.col("place").filter(pl.col("y").is_not_null()).max().over("unique_id")
    table = table.with_columns(step_ahead=pl.col("place") - last - 1)
    if not (covariates.past or covariates.future):
        return table.drop("step_ahead"), table.clear()
    last_step = horizon - 1 if covariates.future else -1
    ahead = table.filter(pl.col("step_ahead").is_between(0, last_step))
    return table.filter(pl.col("step_ahead") < 0).drop("step_ahead"), ahead


def check_known(table: "pl.DataFrame", covariates: CovariatesConfig, sieve: Sieve) -> "pl.DataFrame":
    """Every point has its covariates, and a static one is the same in all rows that have it."""
    import polars as pl

    for name in covariates.past + covariates.future:
        table = _refuse_empty(table, name, "covariate missing", sieve)
    if covariates.past or covariates.future:
        absent = pl.col("place").diff().over("unique_id") > 1
        names = ", ".join(covariates.past + covariates.future)
        table = sieve.check(
            table,
            absent,
            "covariates of an absent row",
            lambda row: (
                f"series {row['unique_id']} row {row['row']}: rows are absent before it, so {names} are not "
                "known there; add the rows (y may be empty)"
            ),
        )
    for name in covariates.static:
        column = pl.col(PREFIX + name)
        first = column.drop_nulls().first().over("unique_id")
        table = sieve.check(
            table,
            first.is_null(),
            "static covariate missing",
            lambda row, name=name: (  # type: ignore[misc]
                f"series {row['unique_id']} row {row['row']}: static covariate {name} is missing in the "
                "whole series; fill it"
            ),
        )
        table = sieve.check(
            table,
            column != first,
            "static covariate changes",
            lambda row, name=name: (  # type: ignore[misc]
                f"series {row['unique_id']} row {row['row']}: static covariate {name} is "
                f"{row[PREFIX + name]}, and another value before; make it past or future"
            ),
        )
    return table


def check_ahead(
    table: "pl.DataFrame",
    ahead: "pl.DataFrame",
    covariates: CovariatesConfig,
    sieve: Sieve,
    *,
    horizon: int,
) -> "tuple[pl.DataFrame, pl.DataFrame]":
    """Of every series the whole horizon ahead is known; both tables without the series where it is not."""
    import polars as pl

    names = ", ".join(covariates.future)
    given = ahead.group_by("unique_id").agg(pl.len().alias("given"))
    ends = (
        pl.concat([table.select("unique_id", "row"), ahead.select("unique_id", "row")])
        .group_by("unique_id", maintain_order=True)
        .agg(pl.col("row").last())
        .join(given, on="unique_id", how="left", maintain_order="left")
        .with_columns(pl.col("given").fill_null(0))
    )
    kept = sieve.check(
        ends,
        pl.col("given") < horizon,
        "future covariates missing",
        lambda row: (
            f"series {row['unique_id']} row {row['row']}: {names} must be known for the {horizon} points "
            f"after the last y, rows are there for {row['given']}; add rows with y empty"
        ),
    )
    ahead = ahead.join(kept.select("unique_id"), on="unique_id", how="semi", maintain_order="left")
    for name in covariates.future:
        ahead = _refuse_empty(ahead, name, "future covariates missing", sieve)
    table = table.join(ahead.select("unique_id"), on="unique_id", how="semi", maintain_order="left")
    return table, ahead


def _refuse_empty(table: "pl.DataFrame", name: str, reason: str, sieve: Sieve) -> "pl.DataFrame":
    import polars as pl

    def tell(row: dict[str, Any]) -> str:
        return (
            f"series {row['unique_id']} row {row['row']}: covariate {name} is missing; fill it, for "
            "covariates are not filled silently"
        )

    return sieve.check(table, pl.col(PREFIX + name).is_null(), reason, tell)


def arrays(
    table: "pl.DataFrame",
    ahead: "pl.DataFrame",
    covariates: CovariatesConfig,
    *,
    lengths: Integers,
    horizon: int,
) -> tuple[Floats, Floats, Floats]:
    """past (L, P), future (L + N H, F) and static (N, S) of tables of the same series in the same order."""
    import polars as pl

    def columns(of: "pl.DataFrame", names: tuple[str, ...]) -> Floats:
        chosen = of.select(PREFIX + name for name in names)
        return chosen.to_numpy().astype(np.float64).reshape(of.height, len(names))

    owners = table["unique_id"].rle_id().to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    places = table["place"].to_numpy()
    past = np.full((int(lengths.sum()), len(covariates.past)), np.nan)
    past[starts[owners] + places] = columns(table, covariates.past)
    future = np.full((int((lengths + horizon).sum()), len(covariates.future)), np.nan)
    widened = starts + horizon * np.arange(len(lengths))
    future[widened[owners] + places] = columns(table, covariates.future)
    names = table.select("unique_id").unique(maintain_order=True).with_row_index("owner")
    known = ahead.join(names, on="unique_id", how="inner", maintain_order="left")
    owners = known["owner"].to_numpy().astype(np.int64)
    future[widened[owners] + lengths[owners] + known["step_ahead"].to_numpy()] = columns(
        known, covariates.future
    )
    first = table.group_by("unique_id", maintain_order=True).agg(
        pl.col(PREFIX + name).drop_nulls().first() for name in covariates.static
    )
    return past, future, columns(first, covariates.static)
