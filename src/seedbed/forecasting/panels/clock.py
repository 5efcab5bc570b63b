"""A file's own dates as instants and back, and where its rows lie on the grid of their series."""

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seedbed.forecasting.calendar import DAY, MICROSECONDS, Instants, Step, anchors

if TYPE_CHECKING:
    import polars as pl


def own_clock(time: Any, step: Step) -> bool:
    """Whether dates of a time zone are counted by its clock, not in UTC: days and longer, for midnight there
    is another hour in UTC, and not always the same one. Hours are counted in UTC, where none is twice.
    """
    zone = getattr(time, "time_zone", None)
    if zone is None:
        return False
    fixed = zone == "UTC" or zone.startswith("Etc/")
    return fixed or bool(step.months) or step.count * MICROSECONDS.get(step.unit, 0) >= DAY


def to_instants(column: "pl.Expr", time: Any, step: Step) -> "pl.Expr":
    """Dates, times or integers of the polars type `time` as Instants."""
    import polars as pl

    if time.is_integer():
        return column.cast(pl.Int64)
    if own_clock(time, step):
        column = column.dt.replace_time_zone(None)
    return column.cast(pl.Datetime("us")).cast(pl.Int64)


def to_time(instants: Instants, time: Any, step: Step) -> "pl.Series":
    """Instants as a polars column of the file's own type; `to_instants` gives them back.

    Where the clock is put forward over midnight, the day's midnight is its first instant that there is (01:00
    in Santiago in September); null where the whole day is left out.
    """
    import polars as pl

    column = pl.Series("ds", instants, dtype=pl.Int64)
    if time.is_integer():
        return column.cast(time)
    column = column.cast(pl.Datetime("us"))
    if own_clock(time, step):
        found = _zoned(column, time.time_zone)
        left_out = found.is_null().arg_true()
        column = found.scatter(left_out, _next_there(column.gather(left_out), time.time_zone))
    return column.cast(time)


def _zoned(column: "pl.Series", zone: str) -> "pl.Series":
    """A clock that is put back shows an hour twice, one put forward leaves an hour out."""
    return column.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")


def _next_there(column: "pl.Series", zone: str) -> "pl.Series":
    """For times that the zone's clock leaves out, the day's next one that there is; null where none is."""
    import polars as pl

    def there(clock: Instants) -> NDArray[np.bool_]:
        return _zoned(pl.Series(clock).cast(pl.Datetime("us")), zone).is_not_null().to_numpy()

    before = column.cast(pl.Int64).to_numpy()
    after = (before // DAY + 1) * DAY - 1
    while (apart := after - before > 1).any():
        middle = np.where(apart, (before + after) // 2, after)
        exists = there(middle)
        before, after = np.where(exists, before, middle), np.where(exists, middle, after)
    return _zoned(pl.Series("ds", after).cast(pl.Datetime("us")), zone)


def show(instant: int, time: Any, step: Step) -> str:
    value = to_time(np.asarray([instant], dtype=np.int64), time, step)[0]
    return str(value) if not isinstance(value, datetime.datetime) else value.isoformat(" ")


def placed(table: "pl.DataFrame", step: Step, time: Any) -> "pl.DataFrame":
    """Columns place (steps from the series' start), on_grid (the instant there) and anchor.

    The instant of a day without midnight is the midnight that `to_time` has the day's first instant for.
    """
    import polars as pl

    if not table.height:
        return table.with_columns(
            place=pl.lit(0, pl.Int64), on_grid=pl.lit(0, pl.Int64), anchor=pl.lit(0, pl.Int64)
        )
    instants = table["instant"].to_numpy().astype(np.int64)
    series = table["unique_id"].rle_id().to_numpy()
    firsts = np.flatnonzero(np.diff(series, prepend=-1))
    starts = instants[firsts][series]
    days = anchors(instants, firsts) if step.months else np.zeros(len(firsts), np.int64)
    places = step.count_from(starts, instants)
    table = table.with_columns(
        pl.Series("place", places),
        pl.Series("on_grid", step.at(starts, days[series], places)),
        pl.Series("anchor", days[series]),
    )
    late = table.filter(pl.col("instant") != pl.col("on_grid"))
    if late.height and not time.is_integer() and own_clock(time, step):
        stands_for = to_time(table["on_grid"].to_numpy(), time, step)
        instant = pl.when(pl.col("ds") == stands_for).then("on_grid").otherwise("instant")
        table = table.with_columns(instant=instant)
    return table
