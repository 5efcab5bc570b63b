"""Small panels for the tests of this room."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from seedbed.forecasting import LongConfig
from seedbed.forecasting.panels import FrequencyConfig, Panel, SeriesSet

FREQUENCIES: dict[str, Any] = {
    "yearly": {"step": "1y", "horizon": 3, "seasonality": 1},
    "quarterly": {"step": "3mo", "horizon": 4, "seasonality": 4},
}


def months(first: datetime.date, count: int, step: int) -> list[datetime.date]:
    places = [first.year * 12 + first.month - 1 + step * i for i in range(count)]
    return [datetime.date(place // 12, place % 12 + 1, first.day) for place in places]


def rows(unique_id: str, frequency: str, values: list[float]) -> pl.DataFrame:
    step = 12 if frequency == "yearly" else 3
    return pl.DataFrame(
        {
            "unique_id": [unique_id] * len(values),
            "ds": months(datetime.date(1990, 1, 1), len(values), step),
            "y": values,
            "frequency": [frequency] * len(values),
        }
    )


def working_days(days: int) -> SeriesSet:
    """A series that grows tenfold, from a Monday on: its weekends are gaps."""
    values = np.linspace(100.0, 1000.0, 200)[:days]
    values[np.arange(days) % 7 > 4] = np.nan
    config = FrequencyConfig(step="1d", horizon=14, seasonality=7)
    return SeriesSet.counted("daily", config, ["a"], [values])


def table(*, spike: float = 0.0) -> pl.DataFrame:
    """Four yearly series of different lengths and two quarterly ones; `spike` is added to the test parts."""
    parts = []
    for number, length in enumerate((8, 12, 30, 40)):
        values = 10.0 * (number + 1) + np.arange(length) + np.sin(np.arange(length) + number)
        values[-3:] += spike
        parts.append(rows(f"y{number}", "yearly", values.tolist()))
    for number in range(2):
        values = 100.0 + 5 * np.tile([1.0, 2, 3, 4], 12) + number * np.arange(48)
        values[-4:] += spike
        parts.append(rows(f"q{number}", "quarterly", values.tolist()))
    return pl.concat(parts)


def config(**changed: Any) -> LongConfig:
    return LongConfig.parse({"name": "long", "frequencies": FREQUENCIES, **changed}, "panel")


def load(folder: Path, frame: pl.DataFrame, **changed: Any) -> Panel:
    frame.write_parquet(folder / "series.parquet")
    return config(**changed).load(folder)
