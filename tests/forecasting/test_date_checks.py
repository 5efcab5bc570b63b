"""Dates as people write them: those that can be read in two ways are refused, the others are what they say."""

import datetime
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from seedbed.config import UserError
from seedbed.forecasting.panels import read_tables
from seedbed.forecasting.panels.checks import prepare
from seedbed.forecasting.panels.sieve import Sieve
from tests.forecasting.panels import months

MONTHS = months(datetime.date(2015, 1, 1), 12, 1)
DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(40)]
FORMS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m/%d/%Y 06:00:00", "%d.%m.%YT06:00")


def from_csv(texts: list[str], folder: Path) -> pl.DataFrame:
    table = pl.DataFrame({"unique_id": "가게", "ds": texts, "y": range(len(texts))})
    table.write_csv(folder / "t.csv")
    [read] = read_tables(folder / "t.csv")
    return prepare(read, Sieve("t.csv", "refuse"))


def from_frame(texts: list[str], folder: Path) -> pl.DataFrame:
    del folder
    table = pl.DataFrame({"unique_id": "가게", "ds": texts, "y": range(len(texts))})
    return prepare(table, Sieve("frame", "refuse"))


BOTH = pytest.mark.parametrize("read", [from_csv, from_frame])
Read = Callable[[list[str], Path], pl.DataFrame]


@BOTH
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("days", [MONTHS, DAYS[:12]])
def test_where_no_row_tells_day_from_month_nothing_is_guessed(
    days: list[datetime.date], form: str, read: Read, tmp_path: Path
) -> None:
    texts = [day.strftime(form) for day in days]
    with pytest.raises(UserError) as caught:
        read(texts, tmp_path)
    told = f": row 2: date {texts[1]!r}: no row tells its day from its month; write dates as 2024-01-31"
    assert str(caught.value).endswith(told)


@BOTH
def test_one_row_above_twelve_tells_it_and_equal_fields_need_none(read: Read, tmp_path: Path) -> None:
    assert read([day.strftime("%d/%m/%Y") for day in DAYS], tmp_path)["ds"].to_list() == DAYS
    assert read([day.strftime("%d.%m.%Y") for day in DAYS], tmp_path)["ds"].to_list() == DAYS
    years = [datetime.date(year, 1, 1) for year in range(2001, 2013)]
    assert read([day.strftime("%d/%m/%Y") for day in years], tmp_path)["ds"].to_list() == years
    assert read([day.strftime("%Y/%m/%d") for day in MONTHS], tmp_path)["ds"].to_list() == MONTHS
    with pytest.raises(UserError, match=r"ds '01/13/2024' is no date; write it as 2024-01-31"):
        read([day.strftime("%m/%d/%Y") for day in DAYS], tmp_path)


@BOTH
def test_a_year_of_two_digits_is_none(read: Read, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"row 1: date '01/01/24' has a year of two digits"):
        read([day.strftime("%d/%m/%y") for day in DAYS], tmp_path)


def test_the_rows_of_a_folder_decide_together(tmp_path: Path) -> None:
    for name, days in (("a", DAYS[:12]), ("b", DAYS[12:])):
        texts = [day.strftime("%d/%m/%Y") for day in days]
        pl.DataFrame({"unique_id": name, "ds": texts, "y": 1.0}).write_csv(tmp_path / f"{name}.csv")
    [table] = read_tables(tmp_path)
    assert table["ds"].to_list() == DAYS
    (tmp_path / "b.csv").unlink()
    with pytest.raises(UserError, match=r"row 2: date '02/01/2024': no row tells"):
        list(read_tables(tmp_path))


@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "microseconds", "nanoseconds"])
def test_numbers_since_1970_are_no_count_of_steps(unit: str) -> None:
    second = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}[unit]
    ds = [(1_700_000_000 + 3600 * hour) * second for hour in range(30)]
    table = pl.DataFrame({"unique_id": "가게", "ds": ds, "y": 1.0})
    told = (
        f"row 1: ds {ds[0]} looks like {unit} since 1970, and integers count steps; write dates as 2024-01-31"
    )
    with pytest.raises(UserError, match=told):
        prepare(table, Sieve("x", "refuse"))
    counted = table.with_columns(ds=pl.col("ds") - ds[0])
    assert prepare(counted, Sieve("x", "refuse"))["ds"].equals(counted["ds"])
