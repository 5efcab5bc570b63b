"""The M3 competition and the forecasts of its 22 methods, as arrays (N series, 18 points), from the mirror."""

import json
import lzma
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seedbed import metrics

MIRROR = Path(os.environ.get("SEEDBED_TEST_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
needs_m3 = pytest.mark.skipif(not (MIRROR / "m3").is_dir(), reason="no mirror of the competitions' data")
PERIODS = {"YEARLY": 1, "QUARTERLY": 4, "MONTHLY": 12, "OTHER": 1}


@dataclass(frozen=True)
class M3:
    """Rows in the order of `ids`; what a shorter horizon or history lacks is nan."""

    ids: list[str]
    periods: np.ndarray
    histories: np.ndarray
    actual: np.ndarray
    rivals: dict[str, np.ndarray]

    def scales(self, scale: metrics.Scale = "m4") -> np.ndarray:
        scales_N = np.empty(len(self.ids))
        for period, season in PERIODS.items():
            own = self.periods == period
            scales_N[own] = metrics.naive_scale(self.histories[own], seasonality=season, scale=scale)
        return scales_N


@cache
def m3() -> M3:
    with lzma.open(MIRROR / "m3" / "m3_data.json.xz") as file:
        data = json.load(file)
    with lzma.open(MIRROR / "m3" / "m3_rival_forecasts.csv.xz") as file:
        rivals = pl.read_csv(file.read(), infer_schema_length=None)
    ids = sorted(data)
    actual = np.full((len(ids), 18), np.nan)
    for row, name in zip(actual, ids, strict=True):
        row[: len(data[name]["xx"])] = data[name]["xx"]
    steps = [column for column in rivals.columns if column.startswith("h")]
    forecasts = {}
    for (method,), rows in rivals.group_by("method", maintain_order=True):
        rows = rows.sort("unique_id")
        assert rows["unique_id"].to_list() == ids, method
        forecasts[str(method)] = rows.select(steps).cast(pl.Float64).to_numpy()
    periods = np.asarray([data[name]["period"][0] for name in ids])
    return M3(ids, periods, metrics.padded([data[name]["x"] for name in ids]), actual, forecasts)
