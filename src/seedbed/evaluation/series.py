"""Forecasts against the truth of the test split, scored per series and over the panel.

A panel's sMAPE and MASE are means over its series, each series counting once; OWA is the ratio of
those means to Naive2's (M4). Intervals resample series, taken as independent.
Shape legend: N series, B resamples, M metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from seedbed import metrics
from seedbed.config import UserError
from seedbed.evaluation.intervals import Draws, Floats, bootstrap

ERRORS = ("smape", "mase", "mape", "rmsse")
FREQUENCIES = ("yearly", "quarterly", "monthly", "weekly", "daily", "hourly")
KEYS = ("unique_id", "ds")


@dataclass(frozen=True)
class Forecasted:
    """One forecaster on one panel: its errors by series (columns unique_id, frequency, ERRORS)."""

    forecaster: str
    panel: str
    errors: pl.DataFrame
    joined: pl.DataFrame
    """unique_id, frequency, ds, y, forecast: what is drawn and published."""

    def frequencies(self) -> list[str]:
        """From slow to fast, others after them by name."""
        order = {name: i for i, name in enumerate(FREQUENCIES)}
        names = self.errors["frequency"].unique().to_list()
        return sorted(names, key=lambda name: (order.get(name, len(order)), name))

    def within(self, frequency: str | None) -> pl.DataFrame:
        """The errors of one frequency, or of all."""
        return self.errors if frequency is None else self.errors.filter(pl.col("frequency") == frequency)


def score_series(
    forecasts: pl.DataFrame,
    truth: pl.DataFrame,
    history: pl.DataFrame,
    *,
    forecaster: str,
    panel: str,
    seasonality: Mapping[str, int],
) -> Forecasted:
    """Join forecasts (unique_id, ds, `forecaster`) to the truth (unique_id, ds, y, frequency) and score.

    `history` (unique_id, ds, y) holds the values before the test split, which scale MASE;
    `seasonality` is the season's length by frequency. Every point of the truth must be forecast.
    """
    joined = truth.join(forecasts.select(*KEYS, pl.col(forecaster).alias("forecast")), on=KEYS, how="left")
    joined = joined.select("unique_id", "frequency", "ds", "y", "forecast").sort(KEYS)
    missing = joined.filter(pl.col("forecast").is_null() | pl.col("forecast").is_nan())
    if missing.height:
        row = missing.row(0, named=True)
        raise UserError(
            f"forecast {forecaster}: no forecast of {row['unique_id']} at {row['ds']} "
            f"({missing.height} of {joined.height} points); forecast the panel {panel} again"
        )
    pasts = {
        str(key[0]): part["y"].to_numpy()
        for key, part in history.sort(KEYS).partition_by("unique_id", as_dict=True).items()
    }
    rows = []
    for key, part in joined.partition_by("unique_id", as_dict=True, maintain_order=True).items():
        unique_id, frequency = str(key[0]), str(part["frequency"][0])
        actual, forecast, past = part["y"].to_numpy(), part["forecast"].to_numpy(), pasts[unique_id]
        season = seasonality[frequency]
        rows.append(
            {
                "unique_id": unique_id,
                "frequency": frequency,
                "smape": metrics.smape(actual, forecast),
                "mase": metrics.mase(actual, forecast, history=past, seasonality=season),
                "mape": metrics.mape(actual, forecast),
                "rmsse": metrics.rmsse(actual, forecast, history=past),
            }
        )
    errors = pl.DataFrame(rows).sort("unique_id")
    return Forecasted(forecaster, panel, errors, joined)


def draw(
    run: Forecasted, naive2: Forecasted | None, frequency: str | None, *, resamples: int, seed: int
) -> tuple[tuple[str, ...], Draws, dict[str, int]]:
    """Names of the scores, their bootstrap over series, and how many series each is defined on.

    sMAPE, MASE, MAPE and RMSSE, and OWA where there is a Naive2.
    """
    own = run.within(frequency)
    columns = [own[name].to_numpy() for name in ERRORS]
    if naive2 is not None:
        reference = naive2.within(frequency)
        assert reference["unique_id"].equals(own["unique_id"]), run.forecaster
        columns += [reference[name].to_numpy() for name in ("smape", "mase")]
    values_NM = np.column_stack(columns)
    defined_NM = np.isfinite(values_NM).astype(np.float64)
    filled_NM = np.where(defined_NM > 0, values_NM, 0.0)

    def score(weights_BN: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            # einsum, not @: a matrix product's last bits depend on the number of threads.
            means_BM = np.einsum("bn,nm->bm", weights_BN, filled_NM) / np.einsum(
                "bn,nm->bm", weights_BN, defined_NM
            )
            scores = [means_BM[:, : len(ERRORS)]]
            if naive2 is not None:
                owa_B = metrics.owa(
                    means_BM[:, 0],
                    means_BM[:, 1],
                    naive2_smape=means_BM[:, -2],
                    naive2_mase=means_BM[:, -1],
                )
                scores.append(owa_B[:, None])
        return np.concatenate(scores, axis=1)[:, None, :]

    names = ERRORS if naive2 is None else (*ERRORS, "owa")
    counts = {name: int(defined_NM[:, i].sum()) for i, name in enumerate(ERRORS)}
    counts["owa"] = counts["mase"]
    draws = bootstrap(score, own.height, resamples=resamples, seed=seed)
    return names, draws, {name: counts[name] for name in names}
