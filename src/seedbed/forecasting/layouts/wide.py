"""Tables with one column a series, as long format."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def unpivot(
    table: "pl.DataFrame", *, time: str, series: Sequence[str], frequency: str, beside: Sequence[str] = ()
) -> "pl.DataFrame":
    """Each column of `series` beside the columns `time` and `beside`; `row` is the row in the file, below its
    header.
    """
    import polars as pl

    return (
        table.with_row_index("row", offset=1)
        .unpivot(on=list(series), index=["row", time, *beside], variable_name="unique_id", value_name="y")
        .rename({time: "ds"})
        .with_columns(frequency=pl.lit(frequency))
    )
