"""Tables in long format, checked and gathered into sets of series, one table after the other.

A table holds whole series; so a large file passes through memory in pieces (see tables.py), and what stays
of it is eight bytes a point, in a file without a name where a folder is given.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seedbed.config import UserError
from seedbed.data.flat import FlatWriter
from seedbed.forecasting.calendar import Instants, Step
from seedbed.forecasting.panels.checks import (
    check_columns,
    check_frequencies,
    check_grid,
    check_mixed,
    check_order,
    check_step,
    check_values,
)
from seedbed.forecasting.panels.clock import placed, show, to_instants
from seedbed.forecasting.panels.covariate_checks import (
    arrays,
    check_ahead,
    check_known,
    check_numbers,
    columns_of,
    split_ahead,
)
from seedbed.forecasting.panels.covariates import CovariatesConfig, CovariatesWriter, waves
from seedbed.forecasting.panels.date_checks import check_dates
from seedbed.forecasting.panels.rules import MIN_TRAIN, Counts, Rules
from seedbed.forecasting.panels.series import FrequencyConfig, SeriesSet
from seedbed.forecasting.panels.sieve import Sieve

if TYPE_CHECKING:
    import polars as pl

LARGEST = 1e300
"""The largest value of y, either side of 0."""


class _Gathering:
    """The series of one frequency so far."""

    def __init__(self, folder: Path | None, covariates: CovariatesConfig, *, horizon: int) -> None:
        self.folder, self.values = folder, FlatWriter(folder)
        self.covariates = CovariatesWriter(covariates, horizon=horizon, folder=folder)
        self.ids: list[str] = []
        self.lengths: list[NDArray[np.int64]] = []
        self.starts: list[Instants] = []
        self.anchors: list[Instants] = []
        self.missing = self.absent_rows = 0

    def set(self, frequency: str, config: FrequencyConfig, time: Any) -> SeriesSet:
        lengths = np.concatenate([np.empty(0, np.int64), *self.lengths])
        starts, days = (
            np.concatenate([np.empty(0, np.int64), *parts]) for parts in (self.starts, self.anchors)
        )
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        values = self.values.finish()
        return SeriesSet(
            frequency,
            config,
            tuple(self.ids),
            values,
            offsets,
            starts,
            days,
            time,
            self.folder,
            self.covariates.finish(),
        )


def gather(
    tables: Iterable["pl.DataFrame"], rules: Rules, *, sieve: Sieve, folder: Path | None = None
) -> tuple[tuple[SeriesSet, ...], Counts]:
    """One set per frequency, series by name; UserError tells series and row of the first fault.

    A table has unique_id, ds, y, with several frequencies `frequency`, and may bring `row`, the number of
    the row in the file; later tables hold later names.
    """

    where = sieve.where
    found = {
        frequency: _Gathering(folder, rules.covariates, horizon=config.horizon)
        for frequency, config in rules.frequencies.items()
    }
    time: Any = None
    rows = 0
    for table in tables:
        rows += table.height
        time = _sift(table, found, rules, sieve) or time
        del table  # else it would be there while the next one is read
    if not rows:
        raise UserError(f"{where}: no rows; a panel needs at least one series")
    sets = []
    emptied = tuple(frequency for frequency, gathering in found.items() if not gathering.ids)
    if sieve.advice.named or len(emptied) == len(found) or not sieve.left_out:
        emptied = ()
    for frequency, gathering in found.items():
        if frequency in emptied:
            continue
        if not gathering.ids:
            lost = sum(sieve.left_out.values())
            why = f" that could be kept ({lost} were left out)" if lost else ""
            advice = sieve.advice.frequency.format(frequency=frequency)
            raise UserError(f"{where}: no series is {frequency}{why}; {advice}")
        one = gathering.set(frequency, rules.frequencies[frequency], time)
        sets.append(_long_enough(one, rules, sieve))
    counts = Counts(
        series=sum(len(one) for one in sets),
        points=sum(int(one.offsets[-1]) for one in sets),
        missing=sum(int(one.offsets[-1] - one.known().sum()) for one in sets),
        absent_rows=sum(gathering.absent_rows for gathering in found.values()),
        left_out=dict(sieve.left_out),
        emptied=emptied,
    )
    return tuple(sets), counts


def _sift(table: "pl.DataFrame", found: Mapping[str, _Gathering], rules: Rules, sieve: Sieve) -> Any:
    """Check a table and append its series by frequency; its type of time, None if it has no rows."""
    import polars as pl

    check_columns(table.columns, rules.frequencies, sieve.where)
    covariates = columns_of(rules.covariates, table.columns, sieve.where)
    if "frequency" not in table.columns:
        table = table.with_columns(pl.lit(next(iter(rules.frequencies))).alias("frequency"))
    if "row" not in table.columns:
        table = table.with_row_index("row", offset=1)
    table = table.select(
        "row",
        pl.col("unique_id").cast(pl.String),
        "ds",
        "y",
        pl.col("frequency").cast(pl.String),
        *covariates,
    )
    if not table.height:
        return None
    table = check_frequencies(table, rules.frequencies, sieve)
    table = _check_size(check_values(check_dates(table, sieve), sieve), sieve)
    table = check_numbers(table, rules.covariates, sieve)
    for frequency in rules.frequencies:
        own = table.filter(pl.col("frequency") == frequency) if len(found) > 1 else table
        if own.height:
            _add(own, found[frequency], frequency, rules, sieve)
    return table.schema["ds"]


def _check_size(table: "pl.DataFrame", sieve: Sieve) -> "pl.DataFrame":
    """Sums and differences of values stay numbers."""
    import polars as pl

    return sieve.check(
        table,
        pl.col("y").abs() > LARGEST,
        "y too large",
        lambda row: (
            f"series {row['unique_id']} row {row['row']}: y is {row['y']!r}, expected at most {LARGEST:g} on "
            "either side of 0; count the series in a larger unit"
        ),
    )


def _add(table: "pl.DataFrame", gathering: _Gathering, frequency: str, rules: Rules, sieve: Sieve) -> None:
    """Check the dates of one frequency's series and append their points."""
    import polars as pl

    config = rules.frequencies[frequency]
    step, time = Step.parse(config.step), table.schema["ds"]
    if rules.covariates.calendar and time.is_integer():
        raise UserError(
            f"{sieve.where}: column ds is {time}, and covariates.calendar tells of dates; "
            f"{sieve.advice.calendar}"
        )
    if step.is_integer != time.is_integer():
        raise UserError(
            f"{sieve.where}: column ds is {time}, but the step of {frequency} is {config.step}; "
            "dates need a calendar step (1y, 1mo, 1d ...), integers need 1i"
        )

    def tell(instant: int) -> str:
        return show(instant, time, step)

    # A stable sort by series keeps the file's order of dates, which is then checked, not mended.
    instants = to_instants(pl.col("ds"), time, step).alias("instant")
    table = table.with_columns(instants).sort("unique_id", maintain_order=True)
    table = placed(check_order(table, sieve, tell), step, time)
    table = check_grid(table, step, sieve, show=tell, frequency=frequency, config=config)
    if not table.height:
        return
    table = check_mixed(table, config, sieve)
    if not table.height:
        return
    table, ahead = split_ahead(table, rules.covariates, config.horizon)
    check_step(table, frequency, config, sieve)
    if rules.gaps == "refuse":
        table = _refuse_gaps(table, step, config, sieve, time)
    table = check_known(table, rules.covariates, sieve)
    if rules.covariates.future and not rules.needs_test:
        table, ahead = check_ahead(table, ahead, rules.covariates, sieve, horizon=config.horizon)
    if not table.height:
        return
    counts = table.group_by("unique_id", maintain_order=True).agg(
        pl.col("place").last() + 1, pl.col("instant").first(), pl.col("anchor").first()
    )
    lengths = counts["place"].to_numpy().astype(np.int64)
    offsets = np.cumsum(lengths) - lengths
    values = np.full(int(lengths.sum()), np.nan)
    series = table["unique_id"].rle_id().to_numpy()
    values[offsets[series] + table["place"].to_numpy()] = table["y"].fill_null(np.nan).to_numpy()
    gathering.ids += counts["unique_id"].to_list()
    gathering.lengths.append(lengths)
    gathering.starts.append(counts["instant"].to_numpy().astype(np.int64))
    gathering.anchors.append(counts["anchor"].to_numpy().astype(np.int64))
    gathering.absent_rows += len(values) - table.height
    gathering.values.append(values)
    if rules.covariates:
        past, future, static = arrays(table, ahead, rules.covariates, lengths=lengths, horizon=config.horizon)
        if rules.covariates.calendar:
            widened = lengths + config.horizon
            steps = np.arange(int(widened.sum())) - np.repeat(np.cumsum(widened) - widened, widened)
            starts, days = (np.repeat(counts[name].to_numpy(), widened) for name in ("instant", "anchor"))
            known = waves(step.at(starts, days, steps), rules.covariates.calendar)
            future = np.concatenate([future, known], axis=1)
        gathering.covariates.append(past, future, static)


def _refuse_gaps(
    table: "pl.DataFrame", step: Step, config: FrequencyConfig, sieve: Sieve, time: Any
) -> "pl.DataFrame":
    import polars as pl

    table = sieve.check(
        table,
        pl.col("y").is_null(),
        "a gap",
        lambda row: (
            f"series {row['unique_id']} row {row['row']}: y is missing; fill the gap, cut the series at it "
            f"or {sieve.advice.gaps}"
        ),
    )
    ahead = pl.col("place") - pl.col("place").shift().over("unique_id")

    def tell(row: dict[str, Any]) -> str:
        own = table.filter(pl.col("unique_id") == row["unique_id"])
        before = own.filter(pl.col("place") < row["place"])["place"].max()
        start, anchor = (np.asarray([own[name][0]]) for name in ("instant", "anchor"))
        expected = step.at(start, anchor, np.asarray([int(str(before)) + 1]))
        return (
            f"series {row['unique_id']} row {row['row']}: date {show(row['instant'], time, step)}, expected "
            f"{show(int(expected[0]), time, step)} at a step of {config.step}; mend the date, fill the gap "
            f"or {sieve.advice.gaps}"
        )

    return sieve.check(table, ahead > 1, "a gap", tell)


def _long_enough(one: SeriesSet, rules: Rules, sieve: Sieve) -> SeriesSet:
    """The set without series that leave nothing to learn from, or a UserError."""
    horizon = one.config.horizon if rules.needs_test else 0
    needed = horizon + (MIN_TRAIN if rules.needs_test else 1)
    history = one.known(before_last=horizon)
    short = np.flatnonzero(history < needed - horizon)
    if not short.size:
        return one
    first = int(short[0])
    longest = int(one.lengths.max())
    if longest < needed:
        raise UserError(
            f"{sieve.where}: the horizon {one.config.horizon} of {one.frequency} is longer than any series "
            f"allows: series {one.ids[int(one.lengths.argmax())]} has most points, {longest}, and {needed} "
            "are needed; shorten the horizon"
        )
    if sieve.on_fault == "refuse":
        raise UserError(
            f"{sieve.where}: series {one.ids[first]} has {one.lengths[first]} points"
            + (f", {history[first]} known before the test part" if one.lengths[first] >= needed else "")
            + f"; the horizon {one.config.horizon} of {one.frequency} needs at least {needed}: the test part "
            f"and {MIN_TRAIN} to learn from ({short.size} such series); shorten the horizon, leave the "
            f"series out or {sieve.advice.on_fault}"
        )
    sieve.left_out["too short"] += int(short.size)
    return one.take(np.setdiff1d(np.arange(len(one)), short))
