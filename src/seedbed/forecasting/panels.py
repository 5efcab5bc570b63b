"""Panels: a table in long format (unique_id, ds, y[, frequency]) as series with three parts.

Of each series the last `horizon` points are the test part, the `horizon` before them the valid part, the
rest the train part. A Panel hands out the test part for a TestSplit key alone; what trains sees the others.
Rows of different series may be mixed; those of one series must ascend, for a file out of order is more
often a fault than a wish. Columns other than the four are not read. Missing values are refused.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora import TestSplit
from seedbed.forecasting.calendar import PATTERN, Instants, Step

if TYPE_CHECKING:
    import polars as pl

Part = Literal["train", "history"]
"""train: before the valid part; history: before the test part (train and valid together)."""
MIN_TRAIN = 2


class FrequencyConfig(Strict):
    """How often a kind of series is observed and how far it is forecast."""

    step: str = Field(
        pattern=f"^{PATTERN}$", description="1y, 1q, 1mo, 1w, 1d, 1h, 1m, 1s; 1i for integer time"
    )
    horizon: int = Field(ge=1, description="points to forecast; also the size of the valid and test parts")
    seasonality: int = Field(ge=1, description="points per season; 1: none")


@dataclass(frozen=True)
class SeriesSet:
    """Series of one frequency, compact: series i is values[offsets[i]:offsets[i + 1]]."""

    frequency: str
    config: FrequencyConfig
    ids: tuple[str, ...]
    values: NDArray[np.float64]
    instants: Instants
    offsets: NDArray[np.int64]
    time: Any
    """The polars type of the file's ds column, for the forecasts' own."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def series(self, index: int) -> NDArray[np.float64]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def dates(self, index: int) -> Instants:
        return self.instants[self.offsets[index] : self.offsets[index + 1]]

    def without_last(self, points: int) -> "SeriesSet":
        """A copy without each series' last points: they are not in its memory at all."""
        return self._keep(np.maximum(0, self.lengths - points), from_end=False)

    def last(self, points: int) -> "SeriesSet":
        """Each series' last points."""
        return self._keep(np.minimum(points, self.lengths), from_end=True)

    def _keep(self, lengths_N: NDArray[np.int64], *, from_end: bool) -> "SeriesSet":
        offsets = np.concatenate([[0], np.cumsum(lengths_N)]).astype(np.int64)
        starts_N = self.offsets[1:] - lengths_N if from_end else self.offsets[:-1]
        places = np.repeat(starts_N - offsets[:-1], lengths_N) + np.arange(offsets[-1])
        return SeriesSet(
            self.frequency,
            self.config,
            self.ids,
            self.values[places],
            self.instants[places],
            offsets,
            self.time,
        )

    def frame(self) -> "pl.DataFrame":
        """Long format: unique_id, ds, y, frequency."""
        import polars as pl

        return pl.DataFrame(
            {
                "unique_id": np.repeat(np.asarray(self.ids, dtype=object), self.lengths).tolist(),
                "ds": to_time(self.instants, self.time),
                "y": self.values,
                "frequency": [self.frequency] * len(self.values),
            },
            schema_overrides={"unique_id": pl.String, "y": pl.Float64, "frequency": pl.String},
        )


class Panel:
    """Series of one or several frequencies; the test part is shut away."""

    def __init__(self, sets: tuple[SeriesSet, ...]) -> None:
        self._test = tuple(one.last(one.config.horizon) for one in sets)
        self._history = tuple(one.without_last(one.config.horizon) for one in sets)

    @property
    def seasonality(self) -> dict[str, int]:
        """Points per season by frequency."""
        return {one.frequency: one.config.seasonality for one in self._history}

    def sets(self, part: Part) -> tuple[SeriesSet, ...]:
        """One SeriesSet per frequency, in the order of the configuration."""
        if part == "history":
            return self._history
        return tuple(one.without_last(one.config.horizon) for one in self._history)

    def valid(self) -> tuple[SeriesSet, ...]:
        """The valid part of each frequency."""
        return tuple(one.last(one.config.horizon) for one in self._history)

    @property
    def history(self) -> "pl.DataFrame":
        """Everything before the test part: unique_id, ds, y, frequency."""
        import polars as pl

        return pl.concat([one.frame() for one in self._history])

    def test(self, key: TestSplit) -> "pl.DataFrame":
        """The test part, for holders of the key: unique_id, ds, y, frequency."""
        import polars as pl

        assert isinstance(key, TestSplit)
        return pl.concat([one.frame() for one in self._test])


class LongConfig(Strict):
    """A CSV or Parquet file in long format."""

    name: Literal["long"]
    file: str = Field("series.parquet", description="file in the source's folder, .csv or .parquet")
    frequencies: dict[str, FrequencyConfig] = Field(min_length=1)

    def load(self, folder: Path) -> Panel:
        """Read and check the whole file; UserError names series and row of the first fault."""
        path = folder / self.file
        sets = read_series(read_table(path), self.frequencies, where=str(path))
        for one in sets:
            needed = 2 * one.config.horizon + MIN_TRAIN
            short = np.flatnonzero(one.lengths < needed)
            if short.size:
                raise UserError(
                    f"{path}: series {one.ids[short[0]]} has {one.lengths[short[0]]} points, the horizon "
                    f"{one.config.horizon} of {one.frequency} needs at least {needed}: test, valid and "
                    f"{MIN_TRAIN} to learn from ({short.size} such series); shorten the horizon or leave the "
                    "series out"
                )
        return Panel(sets)


PanelConfig = LongConfig
"""The catalogue of layouts; a second one makes it a union told apart by `name`."""


def read_table(path: Path) -> "pl.DataFrame":
    """A CSV or Parquet file; CSV dates are recognised as dates."""
    import polars as pl

    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"{path}: a panel is a .csv or .parquet file; convert it or set panel.file")
    if not path.is_file():
        raise UserError(f"{path}: no such file; set panel.file to the file's name in the source's folder")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        # Whole-file inference: a stray word in the last row must reach our check, which names the row.
        return pl.read_csv(
            path, try_parse_dates=True, infer_schema_length=None, schema_overrides={"unique_id": pl.String}
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path}: not readable as {path.suffix[1:]}: {str(error).splitlines()[0]}") from None


def read_series(
    table: "pl.DataFrame", frequencies: Mapping[str, FrequencyConfig], *, where: str
) -> tuple[SeriesSet, ...]:
    """Check a table in long format and gather its series, sorted by unique_id, one set per frequency."""
    import polars as pl

    table = _with_frequency(table, frequencies, where)
    table = table.with_row_index("row", offset=1)
    _check_values(table, where)
    time = table.schema["ds"]
    instants = pl.col("ds") if time.is_integer() else pl.col("ds").cast(pl.Datetime("us"))
    table = table.with_columns(instants.cast(pl.Int64).alias("instant"), pl.col("y").cast(pl.Float64))
    # A stable sort by series keeps the file's order of dates, which is then checked, not mended.
    table = table.sort("unique_id", maintain_order=True)
    sets = []
    for frequency, config in frequencies.items():
        own = table.filter(pl.col("frequency") == frequency)
        counts = own.group_by("unique_id", maintain_order=True).len()
        if not own.height:
            raise UserError(f"{where}: no series is {frequency}; remove panel.frequencies.{frequency}")
        if Step.parse(config.step).is_integer != time.is_integer():
            raise UserError(
                f"{where}: column ds is {time}, but panel.frequencies.{frequency}.step is {config.step}; "
                "dates need a calendar step (1y, 1mo, 1d ...), integers need 1i"
            )
        one = SeriesSet(
            frequency,
            config,
            tuple(counts["unique_id"].to_list()),
            own["y"].to_numpy().astype(np.float64),
            own["instant"].to_numpy().astype(np.int64),
            np.concatenate([[0], np.cumsum(counts["len"].to_numpy())]).astype(np.int64),
            time,
        )
        _check_dates(one, own["row"].to_numpy(), where)
        sets.append(one)
    return tuple(sets)


def _with_frequency(
    table: "pl.DataFrame", frequencies: Mapping[str, FrequencyConfig], where: str
) -> "pl.DataFrame":
    import polars as pl

    for column in ("unique_id", "ds", "y"):
        if column not in table.columns:
            raise UserError(
                f"{where}: no column {column!r}; columns: {', '.join(table.columns)[:200]}; long format has "
                "unique_id, ds, y and, with several frequencies, frequency"
            )
    if not table.height:
        raise UserError(f"{where}: no rows; a panel needs at least one series")
    if "frequency" not in table.columns:
        if len(frequencies) > 1:
            raise UserError(
                f"{where}: no column 'frequency', but the panel has {', '.join(frequencies)}; add the column "
                "or keep one frequency"
            )
        table = table.with_columns(pl.lit(next(iter(frequencies))).alias("frequency"))
    table = table.select(pl.col("unique_id").cast(pl.String), "ds", "y", pl.col("frequency").cast(pl.String))
    for row in (
        table.with_row_index("row", offset=1)
        .filter(~pl.col("frequency").is_in(list(frequencies)) | pl.col("frequency").is_null())
        .head(1)
        .iter_rows(named=True)
    ):
        raise UserError(
            f"{where}: series {row['unique_id']} row {row['row']}: frequency {row['frequency']!r}; "
            f"panel.frequencies has {', '.join(frequencies)}; add it there or correct the row"
        )
    found = table.group_by("unique_id").agg(pl.col("frequency").unique().sort())
    for unique_id, names in found.filter(pl.col("frequency").list.len() > 1).sort("unique_id").iter_rows():
        raise UserError(f"{where}: series {unique_id} has frequencies {', '.join(names)}; give it one")
    return table


def _check_values(table: "pl.DataFrame", where: str) -> None:
    import polars as pl

    time = table.schema["ds"]
    if not (time.is_integer() or time == pl.Date or isinstance(time, pl.Datetime)):
        row = table.row(0, named=True)
        raise UserError(
            f"{where}: series {row['unique_id']} row 1: ds {row['ds']!r} is {time}, expected dates "
            "(2024-01-31), times or integers"
        )
    for column, wanted in (("unique_id", "a name"), ("ds", "a date")):
        for row in table.filter(pl.col(column).is_null()).head(1).iter_rows(named=True):
            raise UserError(f"{where}: row {row['row']}: {column} is empty, expected {wanted}; fill it")
    if not table.schema["y"].is_numeric() and table.schema["y"] != pl.Null:
        number = pl.col("y").cast(pl.Float64, strict=False)
        for row in table.filter(number.is_null() & pl.col("y").is_not_null()).head(1).iter_rows(named=True):
            raise UserError(
                f"{where}: series {row['unique_id']} row {row['row']}: y is {row['y']!r}, expected a number"
            )
    number = pl.col("y").cast(pl.Float64, strict=False)
    missing = table.with_columns((number.is_null() | ~number.is_finite()).fill_null(True).alias("missing"))
    if missing["missing"].any():
        counts = missing.group_by("unique_id").agg(pl.col("missing").all()).filter("missing")
        for (unique_id,) in counts.select("unique_id").sort("unique_id").head(1).iter_rows():
            raise UserError(f"{where}: series {unique_id} has no value at all; leave it out of the file")
        for row in missing.filter("missing").head(1).iter_rows(named=True):
            raise UserError(
                f"{where}: series {row['unique_id']} row {row['row']}: y is {row['y']!r}; "
                "series with gaps are not taken: fill the gap or cut the series at it"
            )


def _check_dates(one: SeriesSet, rows: NDArray[Any], where: str) -> None:
    """Dates of each series ascend, once each, in even steps."""
    step = Step.parse(one.config.step)
    for index, unique_id in enumerate(one.ids):
        dates_T, rows_T = one.dates(index), rows[one.offsets[index] : one.offsets[index + 1]]
        place = f"{where}: series {unique_id} row"
        backward = np.flatnonzero(np.diff(dates_T) <= 0)
        if backward.size:
            at = int(backward[0]) + 1
            date = show(int(dates_T[at]), one.time)
            if np.any(dates_T[:at] == dates_T[at]):
                raise UserError(f"{place} {rows_T[at]}: date {date} is there twice; keep one value per date")
            raise UserError(
                f"{place} {rows_T[at]}: date {date} comes after {show(int(dates_T[at - 1]), one.time)}; "
                "sort the file by unique_id and ds"
            )
        irregular = step.first_irregular(dates_T)
        if irregular:
            at, expected = irregular
            raise UserError(
                f"{place} {rows_T[at]}: date {show(int(dates_T[at]), one.time)}, expected "
                f"{show(expected, one.time)} at a step of {one.config.step}; mend the date, fill the gap or "
                f"correct panel.frequencies.{one.frequency}.step"
            )


def to_time(instants: Instants, time: Any) -> "pl.Series":
    """Instants as a polars column of the file's own type."""
    import polars as pl

    column = pl.Series("ds", instants, dtype=pl.Int64)
    return column.cast(time) if time.is_integer() else column.cast(pl.Datetime("us")).cast(time)


def show(instant: int, time: Any) -> str:
    value = to_time(np.asarray([instant], dtype=np.int64), time)[0]
    return str(value) if not isinstance(value, datetime.datetime) else value.isoformat(" ")
