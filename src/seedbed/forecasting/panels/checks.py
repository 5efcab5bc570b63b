"""What may be wrong with a table of series, looked for over the whole of it and told by series and row."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from seedbed.config import UserError
from seedbed.forecasting.calendar import Step
from seedbed.forecasting.panels.date_checks import check_dates
from seedbed.forecasting.panels.series import FrequencyConfig
from seedbed.forecasting.panels.sieve import Sieve

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ("unique_id", "ds", "y")
MISSING_WORDS = ("", "NA", "N/A", "NaN", "nan", "null", "None")
"""What a text column y may hold for a value that is missing."""
MOST_MISSING = 20
"""Missing points for each row of a file; more are a wrong date or a wrong step, not gaps."""
REGULAR, CLOSE = 16, 4
"""Neighbouring dates as far from one another sixteen times in a row are another frequency where elsewhere in
the series four in a row lie one step apart (a working week). Chance does not make sixteen: of rows absent at
random at most a quarter of the distances are two steps."""


def check_columns(columns: list[str], frequencies: Mapping[str, FrequencyConfig], where: str) -> None:
    """The columns of long format are there; a panel of several frequencies says which is which."""
    columns = [column for column in columns if column != "row"]
    for column in COLUMNS:
        if column not in columns:
            raise UserError(
                f"{where}: no column {column!r}; columns: {', '.join(columns)[:200]}; long format has "
                f"unique_id, ds, y and, with several frequencies, frequency{_hint(columns)}"
            )
    if "frequency" not in columns and len(frequencies) > 1:
        raise UserError(
            f"{where}: no column 'frequency', but the panel has {', '.join(frequencies)}; add the column "
            "or keep one frequency"
        )


def _hint(columns: list[str]) -> str:
    """Where the header's names show what happened to the file."""
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|"):
        return "; the fields of a row are parted by commas"
    return ""


def prepare(table: "pl.DataFrame", sieve: Sieve) -> "pl.DataFrame":
    """A table whose columns and dates are known to be there, before anything is inferred from it."""
    import polars as pl

    check_columns(table.columns, {}, sieve.where)
    if not table.height:
        raise UserError(f"{sieve.where}: no rows; a panel needs at least one series")
    if "row" not in table.columns:
        table = table.with_row_index("row", offset=1)
    table = table.with_columns(pl.col("unique_id").cast(pl.String))
    return check_dates(table, sieve)


def check_frequencies(
    table: "pl.DataFrame", frequencies: Mapping[str, FrequencyConfig], sieve: Sieve
) -> "pl.DataFrame":
    """Every series has one frequency, which the panel knows."""
    import polars as pl

    known = ", ".join(frequencies)
    unknown = ~pl.col("frequency").is_in(list(frequencies)) | pl.col("frequency").is_null()
    table = sieve.check(
        table,
        unknown,
        "frequency unknown",
        lambda row: (
            f"series {row['unique_id']} row {row['row']}: frequency {row['frequency']!r}; "
            f"panel.frequencies has {known}; add it there or correct the row"
        ),
    )
    if len(frequencies) == 1:
        return table
    first = pl.col("frequency").first().over("unique_id")

    def tell(row: dict[str, Any]) -> str:
        own = table.filter(pl.col("unique_id") == row["unique_id"])["frequency"].unique().sort().to_list()
        return f"series {row['unique_id']} has frequencies {', '.join(own)}; give it one"

    return sieve.check(table, pl.col("frequency") != first, "several frequencies", tell)


def check_values(table: "pl.DataFrame", sieve: Sieve) -> "pl.DataFrame":
    """y becomes float64, null where missing; infinity and text are faults, so is a series of nothing."""
    import polars as pl

    kind = table.schema["y"]
    if kind == pl.String:
        words = pl.col("y").str.strip_chars()
        words = pl.when(words.is_in(MISSING_WORDS)).then(None).otherwise(words)
        table = table.with_columns(words.alias("y"))
        table = sieve.check(
            table,
            pl.col("y").is_not_null() & pl.col("y").cast(pl.Float64, strict=False).is_null(),
            "y not a number",
            lambda row: f"series {row['unique_id']} row {row['row']}: y is {row['y']!r}, expected a number",
        )
    elif not kind.is_numeric() and kind != pl.Null:
        raise UserError(f"{sieve.where}: column y is {kind}, expected numbers; correct the column")
    table = table.with_columns(pl.col("y").cast(pl.Float64).fill_nan(None))
    table = sieve.check(
        table,
        pl.col("y").is_infinite(),
        "y infinite",
        lambda row: (
            f"series {row['unique_id']} row {row['row']}: y is {row['y']!r}, expected a finite number; leave "
            "it empty if it is not known"
        ),
    )
    if not table["y"].null_count():
        return table
    return sieve.check(
        table,
        pl.col("y").is_null().all().over("unique_id"),
        "no value at all",
        lambda row: f"series {row['unique_id']} has no value at all; leave it out of the file",
    )


def check_order(table: "pl.DataFrame", sieve: Sieve, show: Callable[[int], str]) -> "pl.DataFrame":
    """Dates ascend within each series, once each; takes a table sorted by series (column `instant`)."""
    import polars as pl

    before = pl.when(pl.col("unique_id") == pl.col("unique_id").shift()).then(pl.col("instant").shift())
    table = table.with_columns(before.alias("before"))
    backward = pl.col("instant") <= pl.col("before")
    suspects = table.filter(backward)["unique_id"].unique()
    if len(suspects):
        # first: among equal dates of a series the earliest row is no fault
        own = table.filter(pl.col("unique_id").is_in(suspects.implode()))
        twice = set(own.filter(~pl.struct("unique_id", "instant").is_first_distinct())["row"].to_list())
        table = sieve.check(
            table,
            pl.col("row").is_in(list(twice)),
            "a date twice",
            lambda row: (
                f"series {row['unique_id']} row {row['row']}: date {show(row['instant'])} is there twice; "
                "keep one value per date"
            ),
        )
    return sieve.check(
        table,
        backward,
        "dates out of order",
        lambda row: (
            f"series {row['unique_id']} row {row['row']}: date {show(row['instant'])} comes after "
            f"{show(row['before'])}; sort the file by unique_id and ds"
        ),
    )


def check_grid(
    table: "pl.DataFrame",
    step: Step,
    sieve: Sieve,
    *,
    show: Callable[[int], str],
    frequency: str,
    config: FrequencyConfig,
) -> "pl.DataFrame":
    """Every date lies where the step leads (columns `place`, steps from the series' start, and `on_grid`)."""
    import polars as pl

    return sieve.check(
        table,
        pl.col("instant") != pl.col("on_grid"),
        "a date off the step",
        lambda row: (
            f"series {row['unique_id']} row {row['row']}: date {show(row['instant'])}, expected "
            f"{show(row['on_grid'])} or another date at a step of {config.step}; mend the date or "
            f"{sieve.advice.step.format(frequency=frequency)}"
        ),
    )


def check_mixed(table: "pl.DataFrame", config: FrequencyConfig, sieve: Sieve) -> "pl.DataFrame":
    """A series has one frequency: no long run of dates as far apart as those of another (column `place`).

    Months differ in days: distances are alike when the largest is at most an eighth above the smallest.
    """
    import polars as pl

    stride = pl.col("place").diff()
    # 0 at the start of a series, which ends a run of either kind
    stride = pl.when(pl.col("unique_id") == pl.col("unique_id").shift()).then(stride).otherwise(0)
    found = table.with_columns(stride=stride)
    if found.filter(pl.col("stride") > 1).height < REGULAR:
        return table
    low, high = pl.col("stride").rolling_min(REGULAR), pl.col("stride").rolling_max(REGULAR)
    close = pl.max_horizontal(pl.col("stride").rolling_max(CLOSE), 2 - pl.col("stride").rolling_min(CLOSE))
    found = found.with_columns(
        # of a run that ends in a row, shown in the row that it begins with
        low=low.shift(1 - REGULAR),
        high=high.shift(1 - REGULAR),
        close=(close == 1).any().over("unique_id"),
    )
    regular = (pl.col("low") > 1) & (8 * pl.col("high") <= 9 * pl.col("low")) & pl.col("close")

    def tell(row: dict[str, Any]) -> str:
        apart = f"{row['low']} to {row['high']}" if row["low"] < row["high"] else row["low"]
        return (
            f"series {row['unique_id']} row {row['row']}: from here {REGULAR} dates in a row are {apart} "
            f"steps of {config.step} apart, elsewhere in the series one step; make a series of each, or add "
            "the rows between with y empty"
        )

    return sieve.check(found, regular, "mixed frequencies", tell).select(table.columns)


def check_step(table: "pl.DataFrame", frequency: str, config: FrequencyConfig, sieve: Sieve) -> None:
    """A step much finer than the dates would make more gaps than series: it is wrong, not the data."""
    import polars as pl

    strides = table.select(
        "unique_id", "row", stride=pl.col("place").diff().over("unique_id", mapping_strategy="group_to_rows")
    ).drop_nulls()
    if not strides.height:
        return
    where, advice = sieve.where, sieve.advice.step.format(frequency=frequency)
    common = int(strides["stride"].mode().min())  # type: ignore[arg-type]
    if common > 1 and not (strides["stride"] == 1).any():
        raise UserError(
            f"{where}: series {strides['unique_id'][0]}: dates are mostly {common} steps of {config.step} "
            f"apart; {advice}"
        )
    if int(strides["stride"].sum()) > MOST_MISSING * (table.height + 1):
        row = strides.sort("stride", descending=True).row(0, named=True)
        raise UserError(
            f"{where}: series {row['unique_id']} row {row['row']}: {row['stride'] - 1} dates are absent "
            f"before it at a step of {config.step}, and most points of the panel would be missing; mend the "
            f"date or {advice}"
        )
