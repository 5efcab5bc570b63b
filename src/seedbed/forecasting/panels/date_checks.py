"""What may be wrong with dates as they are written: unreadable, of two readings, or numbers instead."""

from typing import TYPE_CHECKING, Literal

from seedbed.config import UserError
from seedbed.forecasting.panels.sieve import Sieve

if TYPE_CHECKING:
    import polars as pl

WRITTEN = r"^\s*(\d{1,2})[-/.](\d{1,2})[-/.](\d{2}|\d{4})(?:\D|$)"
"""Day and month, or month and day, before the year."""
YEAR_1990, YEAR_2100 = 631_152_000, 4_102_444_800
"""In seconds since 1970; larger integers than a count of steps."""


def check_dates(table: "pl.DataFrame", sieve: Sieve) -> "pl.DataFrame":
    """ds becomes dates, times or integers; a text column is read as dates."""
    import polars as pl

    time = table.schema["ds"]
    if time == pl.String:
        refuse_unclear(table["ds"], table["row"], sieve.where)
        # a date among times would be refused; a time among dates too: each as the file mostly is
        readings = [
            reading
            for name in ("to_date", "to_datetime")
            if (reading := _read(table["ds"], name)) is not None
        ]
        best = min(readings, key=lambda reading: reading.null_count(), default=None)
        if best is not None:
            table = sieve.check(
                table.with_columns(best.alias("parsed")),
                pl.col("parsed").is_null() & pl.col("ds").is_not_null(),
                "date unreadable",
                lambda row: (
                    f"series {row['unique_id']} row {row['row']}: ds {row['ds']!r} is no date; write it as "
                    "2024-01-31"
                ),
            )
            table = table.with_columns(pl.col("parsed").alias("ds")).drop("parsed")
            time = table.schema["ds"]
    if not (time.is_integer() or time == pl.Date or isinstance(time, pl.Datetime)):
        row = table.row(0, named=True)
        raise UserError(
            f"{sieve.where}: series {row['unique_id']} row {row['row']}: ds {row['ds']!r} is {time}, "
            "expected dates (2024-01-31), times or integers"
        )
    if time.is_integer():
        _refuse_written_dates(table, sieve.where)
        if time in (pl.Int8, pl.Int16, pl.UInt8, pl.UInt16):
            # a horizon ahead may be more than they hold
            table = table.with_columns(pl.col("ds").cast(pl.Int64))
    for row in table.filter(pl.col("unique_id").is_null()).head(1).iter_rows(named=True):
        raise UserError(f"{sieve.where}: row {row['row']}: unique_id is empty, expected a name; fill it")
    return sieve.check(
        table,
        pl.col("ds").is_null(),
        "date empty",
        lambda row: f"series {row['unique_id']} row {row['row']}: ds is empty, expected a date; fill it",
    )


def refuse_unclear(texts: "pl.Series", rows: "pl.Series", where: str) -> None:
    """UserError where dates can be read in two ways: 01/02/2024 in a column without a field above 12.

    Of dates whose fields are all equal (01/01) both readings are the same. A year of two digits may be any.
    """
    import polars as pl

    found = pl.DataFrame({"text": texts, "row": rows}).with_columns(
        pl.col("text").str.extract(WRITTEN, group).alias(name)
        for group, name in enumerate(("first", "second", "year"), 1)
    )
    found = found.drop_nulls("year").with_columns(pl.col("first", "second").cast(pl.Int64))
    short = found.filter(pl.col("year").str.len_bytes() == 2)
    for row in short.head(1).iter_rows(named=True):
        raise UserError(
            f"{where}: row {row['row']}: date {row['text']!r} has a year of two digits; write dates "
            "as 2024-01-31"
        )
    unlike = found.filter(pl.col("first") != pl.col("second"))
    if unlike.height and not found.select(pl.max_horizontal("first", "second").max() > 12).item():
        row = unlike.row(0, named=True)
        raise UserError(
            f"{where}: row {row['row']}: date {row['text']!r}: no row tells its day from its month; write "
            "dates as 2024-01-31"
        )


def _refuse_written_dates(table: "pl.DataFrame", where: str) -> None:
    """Integers count steps; 20240131 and 202401 are dates, whose distances are none of steps."""
    import polars as pl

    number = pl.col("ds")
    months = number.is_between(1800_01, 2199_12) & (number % 100).is_between(1, 12)
    days = number.is_between(1800_01_01, 2199_12_31) & (number // 100 % 100).is_between(1, 12)
    days &= (number % 100).is_between(1, 31)
    looks = {"a date": months | days}
    for unit, second in (
        ("seconds", 1),
        ("milliseconds", 10**3),
        ("microseconds", 10**6),
        ("nanoseconds", 10**9),
    ):
        looks[f"{unit} since 1970"] = number.is_between(YEAR_1990 * second, YEAR_2100 * second)
    for name, written in looks.items():
        if table.select(written.all() & (number.n_unique() > 1)).item():
            row = table.row(0, named=True)
            raise UserError(
                f"{where}: series {row['unique_id']} row {row['row']}: ds {row['ds']} looks like {name}, and "
                "integers count steps; write dates as 2024-01-31"
            )


def _read(texts: "pl.Series", reading: Literal["to_date", "to_datetime"]) -> "pl.Series | None":
    """Dates or times of the form that most texts seem to have, null where they have not; None: no form."""
    import polars as pl

    try:
        return getattr(texts.str, reading)(strict=False)  # type: ignore[no-any-return]
    except pl.exceptions.ComputeError:
        return None
