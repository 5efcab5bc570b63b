"""Forecasters of one panel against one another: ranks of all, tests and lists of wins of pairs.

Shape legend: N series, K forecasters, H horizon.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import polars as pl

from seedbed.evaluation.intervals import Estimate, fewest
from seedbed.evaluation.series import Forecasted
from seedbed.evaluation.significance import (
    DieboldMariano,
    critical_distance,
    diebold_mariano,
    mean_ranks,
)

METRICS = ("smape", "mase")


@dataclass(frozen=True)
class Rank:
    """A forecaster's mean rank over series (1 is best) with its MCB interval."""

    scope: str
    metric: str
    forecaster: str
    rank: Estimate
    among: int
    """How many forecasters were ranked."""


@dataclass(frozen=True)
class Test:
    """Diebold-Mariano between a and b on absolute errors over MASE's scale, one difference for each series.

    `horizon` is the step ahead, 0 the mean over the horizon.
    """

    scope: str
    a: str
    b: str
    horizon: int
    found: DieboldMariano


def ranks(runs: Sequence[Forecasted], *, scope: str, frequency: str | None, confidence: float) -> list[Rank]:
    """Each forecaster's mean rank: those whose intervals do not overlap differ. One alone has no rank."""
    if len(runs) < 2:
        return []
    made = []
    for metric in METRICS:
        errors_NK = np.column_stack([run.within(frequency)[metric].to_numpy() for run in runs])
        means_K, n = mean_ranks(errors_NK)
        if not n:
            continue
        # the distance is that of many series
        few = n < fewest(confidence)
        half = nan if few else critical_distance(len(runs), n, confidence=confidence) / 2
        for run, mean in zip(runs, means_K, strict=True):
            estimate = Estimate(float(mean), float(mean) - half, float(mean) + half, n, how="mcb")
            made.append(Rank(scope, metric, run.forecaster, estimate, len(runs)))
    return made


def tests(a: Forecasted, b: Forecasted, *, scope: str, frequency: str | None) -> list[Test]:
    """Of the mean over the horizon, and within one frequency of each step ahead."""
    whole = a.within(frequency)["mase"].to_numpy() - b.within(frequency)["mase"].to_numpy()
    made = [Test(scope, a.forecaster, b.forecaster, 0, diebold_mariano(whole))]
    if frequency is not None:
        sides = a.points_within(frequency), b.points_within(frequency)
        for step in range(sides[0].actual_NH.shape[1]):
            loss_a, loss_b = (
                np.abs(one.actual_NH[:, step] - one.forecast_NH[:, step]) / sides[0].scale_N for one in sides
            )
            found = diebold_mariano(loss_a - loss_b)
            made.append(Test(scope, a.forecaster, b.forecaster, step + 1, found))
    return made


def wins(a: Forecasted, b: Forecasted, *, panel: str) -> pl.DataFrame:
    """One row for each series and metric: both errors, and who has the smaller (`tie`; null if undefined)."""
    tables = []
    for metric in METRICS:
        value_a, value_b = a.errors[metric].fill_nan(None), b.errors[metric].fill_nan(None)
        winner = (
            pl.when(pl.col("error_a") < pl.col("error_b"))
            .then(pl.lit(a.forecaster))
            .when(pl.col("error_a") > pl.col("error_b"))
            .then(pl.lit(b.forecaster))
            .when(pl.col("error_a") == pl.col("error_b"))
            .then(pl.lit("tie"))
        )
        frame = a.errors.select(
            pl.lit(panel).alias("panel"), "unique_id", "frequency", pl.lit(a.forecaster).alias("a"),
            pl.lit(b.forecaster).alias("b"), pl.lit(metric).alias("metric"),
        )  # fmt: skip
        frame = frame.with_columns(value_a.alias("error_a"), value_b.alias("error_b"))
        tables.append(frame.with_columns(winner.alias("winner")))
    return pl.concat(tables)
