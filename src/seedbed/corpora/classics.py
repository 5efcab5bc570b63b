"""The public series that statsmodels installs, as one panel in long format.

Gaps: forecasting needs an unbroken past, so every series is cut to its longest run without a
missing period (the latest of equal runs). Points lost that way, and series dropped because fewer
than `MIN_POINTS` remain, are counted in the manifest. Left out on purpose: macrodata's `infl` and
`realint`, danish_data's `lpy` and interest_inflation's `Dp`, which cross zero, where relative
errors (sMAPE) say nothing; longley, which has 16 points.
"""

import csv
import datetime
import importlib.metadata
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from seedbed.config import Strict, UserError
from seedbed.corpora.source import Facts, FetchContext

Frequency = Literal["yearly", "quarterly", "monthly"]
PERIODS: dict[Frequency, int] = {"yearly": 1, "quarterly": 4, "monthly": 12}
MIN_POINTS = 20
MACRODATA = (
    "realgdp",
    "realcons",
    "realinv",
    "realgovt",
    "realdpi",
    "cpi",
    "m1",
    "tbilrate",
    "unemp",
    "pop",
)


class Series(NamedTuple):
    """One series; `values` maps a period number (year * periods per year + position) to a value."""

    unique_id: str
    frequency: Frequency
    values: dict[int, float]


class ClassicsConfig(Strict):
    name: Literal["classics"]

    def fetch(self, into: Path, *, context: FetchContext) -> Facts:
        """Write series.parquet: unique_id, ds (first day of the period), y, frequency."""
        del context
        kept: list[Series] = []
        lost_points = 0
        dropped: dict[str, str] = {}
        version, folder = statsmodels_folder()
        for series in sorted(read_all(folder)):
            run = longest_run(series.values)
            if len(run) < MIN_POINTS:
                dropped[series.unique_id] = f"{len(run)} points without a gap, fewer than {MIN_POINTS}"
                continue
            lost_points += len(series.values) - len(run)
            kept.append(series._replace(values=run))
        _write(kept, into / "series.parquet")
        return {
            "statsmodels": version,
            "series": {name: sum(s.frequency == name for s in kept) for name in PERIODS},
            "points": sum(len(series.values) for series in kept),
            "dropped": dropped,
            "points_cut_at_gaps": lost_points,
        }


def longest_run(values: dict[int, float]) -> dict[int, float]:
    """The longest stretch of consecutive periods, in order; of equal ones the latest."""
    best: list[int] = []
    run: list[int] = []
    for period in sorted(values):
        run = [*run, period] if run and period == run[-1] + 1 else [period]
        if len(run) >= len(best):
            best = run
    return {period: values[period] for period in best}


def _write(series: list[Series], path: Path) -> None:
    """The long format, ordered by series and date."""
    # Imported here: every stage imports this room, and only this function needs Arrow.
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        (one.unique_id, _date(period, one.frequency), value, one.frequency)
        for one in series
        for period, value in one.values.items()
    ]
    types = {"unique_id": pa.string(), "ds": pa.date32(), "y": pa.float64(), "frequency": pa.string()}
    columns = zip(types.items(), zip(*rows, strict=True), strict=True)
    table = pa.table({name: pa.array(values, kind) for (name, kind), values in columns})
    pq.write_table(table, path, compression="zstd")


def read_all(datasets: Path) -> Iterator[Series]:
    """Every suited series of statsmodels' `datasets` folder."""
    yield from _fertility(datasets)
    for column in MACRODATA:
        yield _quarterly(datasets, "macrodata/macrodata.csv", f"macrodata/{column}", column)
    yield _quarterly(datasets, "interest_inflation/E6.csv", "interest_inflation/R", "R")
    for column in ("lrm", "lry", "ibo", "ide"):
        rows = rows_of(datasets / "danish_data" / "data.csv")
        values = {int(r["period"][:4]) * 4 + int(r["period"][5]) - 1: r[column] for r in rows}
        yield _series(f"danish_data/{column}", "quarterly", values)
    yield _yearly(datasets, "sunspots/sunspots.csv", "sunspots/activity", "YEAR", "SUNACTIVITY")
    yield _yearly(datasets, "nile/nile.csv", "nile/volume", "year", "volume")
    for column in ("WORLDCONSUMPTION", "COPPERPRICE", "INCOMEINDEX", "ALUMPRICE", "INVENTORYINDEX"):
        yield _yearly(datasets, "copper/copper.csv", f"copper/{column.lower()}", "YEAR", column)
    yield from _grunfeld(datasets)
    yield _co2(datasets)
    yield from _months(datasets)


def _fertility(datasets: Path) -> Iterator[Series]:
    for row in rows_of(datasets / "fertility" / "fertility.csv"):
        years = {int(name): value for name, value in row.items() if name.isdigit()}
        yield _series(f"fertility/{row['Country Code']}", "yearly", years)


def _grunfeld(datasets: Path) -> Iterator[Series]:
    firms: dict[str, dict[int, dict[str, str]]] = {}
    for row in rows_of(datasets / "grunfeld" / "grunfeld.csv"):
        firms.setdefault(row["firm"], {})[int(float(row["year"]))] = row
    for firm, years in firms.items():
        name = firm.lower().replace(" ", "_")
        for column in ("invest", "value", "capital"):
            values = {year: row[column] for year, row in years.items()}
            yield _series(f"grunfeld/{name}-{column}", "yearly", values)


def _co2(datasets: Path) -> Series:
    """Weekly values to the mean of each month's observed weeks; months without one stay missing."""
    months: dict[int, list[float]] = {}
    for row in rows_of(datasets / "co2" / "co2.csv"):
        value = _number(row["co2"])
        if value is not None:
            months.setdefault(int(row["date"][:4]) * 12 + int(row["date"][4:6]) - 1, []).append(value)
    means = {month: math.fsum(weeks) / len(weeks) for month, weeks in months.items()}
    return Series("co2/mauna_loa", "monthly", means)


def _months(datasets: Path) -> Iterator[Series]:
    names = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
    elnino = {
        int(row["YEAR"]) * 12 + index: row[month]
        for row in rows_of(datasets / "elnino" / "elnino.csv")
        for index, month in enumerate(names)
    }
    yield _series("elnino/temperature", "monthly", elnino)
    turnover = {}
    for row in rows_of(datasets / "elec_equip" / "elec_equip.csv"):
        month, _, year = row["DATE"].split("-")
        turnover[int(year) * 12 + names.index(month.upper())] = row["STS.M.I7.W.TOVT.NS0016.4.000"]
    yield _series("elec_equip/turnover", "monthly", turnover)


def _yearly(datasets: Path, file: str, unique_id: str, year: str, column: str) -> Series:
    values = {int(float(row[year])): row[column] for row in rows_of(datasets / file)}
    return _series(unique_id, "yearly", values)


def _quarterly(datasets: Path, file: str, unique_id: str, column: str) -> Series:
    rows = rows_of(datasets / file)
    values = {int(float(r["year"])) * 4 + int(float(r["quarter"])) - 1: r[column] for r in rows}
    return _series(unique_id, "quarterly", values)


def _series(unique_id: str, frequency: Frequency, printed: dict[int, str]) -> Series:
    values = {period: number for period, text in printed.items() if (number := _number(text)) is not None}
    return Series(unique_id, frequency, values)


def _number(text: str | None) -> float | None:
    """A finite number, or None for an empty or missing cell."""
    if text is None or text.strip() in ("", "NA", "NaN", "nan", "."):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def rows_of(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise UserError(f"classics: {path.name} is missing from the installed statsmodels; reinstall it")
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))


def _date(period: int, frequency: Frequency) -> datetime.date:
    year, position = divmod(period, PERIODS[frequency])
    return datetime.date(year, 1 + position * 12 // PERIODS[frequency], 1)


def statsmodels_folder() -> tuple[str, Path]:
    """Version and data folder, found without importing the package (that takes seconds)."""
    try:
        distribution = importlib.metadata.distribution("statsmodels")
    except importlib.metadata.PackageNotFoundError:
        raise UserError("classics: statsmodels is not installed; run `make setup`") from None
    return distribution.version, Path(str(distribution.locate_file("statsmodels/datasets")))
