"""A panel whose series follow a season and a covariate: y = level + season + 3 promo."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from seedbed.forecasting import LongConfig
from seedbed.forecasting.panels import Panel

HORIZON = 6
FREQUENCIES: dict[str, Any] = {"daily": {"step": "1d", "horizon": HORIZON, "seasonality": 7}}
COVARIATES: dict[str, Any] = {"past": ["visits"], "future": ["promo"], "static": ["size"]}


def promotions(*, series: int = 6, length: int = 120, ahead: int = 0, seed: int = 0) -> pl.DataFrame:
    """`ahead` rows of each series have no y; visits are those of the day before times two."""
    generator = np.random.default_rng(seed)
    parts = []
    for number in range(series):
        total = length + ahead
        promo = (generator.random(total) < 0.3).astype(float)
        season = np.sin(2 * np.pi * np.arange(total) / 7)
        y = 10.0 + season + 3 * promo + 0.05 * generator.normal(size=total)
        parts.append(
            pl.DataFrame(
                {
                    "unique_id": [f"가게 {number}"] * total,
                    "ds": [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(total)],
                    "y": [*y[:length].tolist(), *[None] * ahead],
                    "promo": promo,
                    "visits": 2 * np.roll(y, 1),
                    "size": [float(number % 2)] * total,
                },
                schema_overrides={"y": pl.Float64},
            )
        )
    return pl.concat(parts)


def config(covariates: dict[str, Any] | None = None, **changed: Any) -> LongConfig:
    given = COVARIATES if covariates is None else covariates
    return LongConfig.parse(
        {"name": "long", "frequencies": FREQUENCIES, "covariates": given, **changed}, "panel"
    )


def load(folder: Path, frame: pl.DataFrame, *, scratch: Path | None = None, **changed: Any) -> Panel:
    frame.write_parquet(folder / "series.parquet")
    return config(**changed).load(folder, scratch=scratch)
