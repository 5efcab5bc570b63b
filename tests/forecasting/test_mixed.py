"""Mixed frequencies in one series are told with its row; absent rows, working days and holes stay gaps."""

import datetime
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from seedbed.config import UserError
from seedbed.forecasting.panels import FrequencyConfig, Rules, gather
from seedbed.forecasting.panels.sieve import Sieve
from tests.forecasting.panels import months

DAY = datetime.date(2020, 1, 1)


def days(count: int, first: datetime.date = DAY, *, every: int = 1) -> list[datetime.date]:
    return [first + datetime.timedelta(days=every * i) for i in range(count)]


def series(ds: Sequence[object], name: str = "가게") -> pl.DataFrame:
    return pl.DataFrame({"unique_id": name, "ds": ds, "y": [float(i) for i in range(len(ds))]})


def kept(
    table: pl.DataFrame, step: str = "1d", *, on_fault: str = "refuse"
) -> tuple[list[str], dict[str, int]]:
    rules = Rules({"f": FrequencyConfig(step=step, horizon=2, seasonality=1)}, needs_test=False)
    sieve = Sieve("x.csv", on_fault)  # type: ignore[arg-type]
    [found], counts = gather([table], rules, sieve=sieve)
    return list(found.ids), dict(counts.left_out)


MONTHLY = months(DAY, 30, 1)
AFTER = months(DAY, 31, 1)[-1]
MIXED = {
    "months, then days": (MONTHLY + days(40, AFTER), "1d", 2, "28 to 31"),
    "days, then months": (days(40, datetime.date(2019, 11, 23))[:39] + MONTHLY, "1d", 41, "28 to 31"),
    "weeks, then days": (days(17, every=7) + days(5, DAY + datetime.timedelta(weeks=17)), "1d", 2, "7"),
    "quarters, then months": (months(DAY, 17, 3) + months(datetime.date(2024, 4, 1), 12, 1), "1mo", 2, "3"),
    "every second integer": ([*range(20), *range(20, 60, 2), *range(60, 80)], "1i", 22, "2"),
    "months, then working days": (
        [*MONTHLY, *(day for day in days(60, AFTER) if day.weekday() < 5)], "1d", 2, "28 to 31",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_another_step_within_a_series_is_a_fault(name: str) -> None:
    ds, step, row, apart = MIXED[name]
    with pytest.raises(UserError) as caught:
        kept(series(ds), step)
    told = f"x.csv: series 가게 row {row}: from here 16 dates in a row are {apart} steps of {step} apart"
    assert str(caught.value).startswith(told) and "\n" not in str(caught.value)
    other = {"1d": days(9), "1mo": months(DAY, 9, 1), "1i": [*range(9)]}[step]
    both = pl.concat([series(ds), series(other, "다른")])
    ids, left_out = kept(both, step, on_fault="leave_out")
    assert ids == ["다른"] and left_out == {"mixed frequencies": 1}


def holes(count: int, share: float, seed: int) -> list[int]:
    """Rows absent at random."""
    return np.flatnonzero(np.random.default_rng(seed).random(count) > share).tolist()


GAPS = {
    "working days": ([day for day in days(400) if day.weekday() < 5], "1d"),
    "a year of absence": (days(60) + days(60, datetime.date(2021, 6, 1)), "1d"),
    "fifteen weeks among days": (days(15, every=7) + days(30, DAY + datetime.timedelta(weeks=15)), "1d"),
    "three days a week": (
        [day for day in days(400) if day.weekday() in (0, 2, 4)] + days(9, datetime.date(2021, 3, 1)),
        "1d",
    ),
    "a month missing here and there": (
        months(DAY, 120, 1)[::3] + months(datetime.date(2030, 1, 1), 4, 1)[:3],
        "1mo",
    ),
    **{f"half of the rows absent {seed}": (holes(5000, 0.5, seed), "1i") for seed in range(4)},
}


@pytest.mark.parametrize("name", GAPS)
def test_absent_rows_are_gaps(name: str) -> None:
    ds, step = GAPS[name]
    assert kept(series(ds), step) == (["가게"], {})


def test_a_quarterly_series_in_a_panel_of_months_goes_on() -> None:
    table = pl.concat([series(months(DAY, 60, 1)), series(months(DAY, 60, 3), "분기")])
    assert kept(table, "1mo") == (["가게", "분기"], {})
