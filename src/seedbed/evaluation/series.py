"""Forecasts against the truth of the test split, scored per series and over the panel.

A panel's sMAPE and MASE are means over its series, each series counting once; OWA is the ratio of
those means to Naive2's (M4). Intervals resample series, taken as independent.
Shape legend: N series, H points of the longest horizon (nan past a shorter one), B resamples, M metrics.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from seedbed import metrics
from seedbed.config import UserError
from seedbed.data.flat import take_rows
from seedbed.evaluation.intervals import Draws, Floats, bootstrap

ALL = "all"
"""The scope of a number that is of every frequency."""
ERRORS = ("smape", "mase", "mape", "rmsse")
FREQUENCIES = ("yearly", "quarterly", "monthly", "weekly", "daily", "hourly")
KEYS = ("unique_id", "ds")
OTHER_COLUMNS = ("unique_id", "ds", "cutoff", "frequency", "y")
NUMBERS = 1 << 20
"""Most numbers of a panel's series in memory at a time, weights of a bootstrap or points: 8 MB."""


@dataclass(frozen=True)
class Points:
    """Truth and forecast of each series (rows as in `Forecasted.errors`), and what MASE divides by."""

    actual_NH: Floats
    forecast_NH: Floats
    scale_N: Floats
    intervals: Mapping[int, tuple[Floats, Floats]]
    """By level the low and the high end (N, H), nan where a series has none."""
    folder: Path | None = None
    """Where points of some of the series lie on disk; None: in memory."""

    def __len__(self) -> int:
        return len(self.scale_N)

    def of(self, kept: Sequence[bool]) -> "Points":
        """Some of the series."""
        rows = np.flatnonzero(kept)
        if len(rows) == len(self):
            return self

        def some(points_NH: Floats) -> Floats:
            return take_rows(points_NH, rows, self.folder)

        return Points(
            some(self.actual_NH),
            some(self.forecast_NH),
            self.scale_N[rows],
            {level: (some(low), some(high)) for level, (low, high) in self.intervals.items()},
            self.folder,
        )

    def blocks(self) -> Iterator["Points"]:
        """All series in order, some at a time."""
        together = max(1, NUMBERS // (self.actual_NH.shape[1] * (2 + 2 * len(self.intervals))))
        for first in range(0, len(self), together):
            rows = slice(first, first + together)
            yield Points(
                self.actual_NH[rows],
                self.forecast_NH[rows],
                self.scale_N[rows],
                {level: (low[rows], high[rows]) for level, (low, high) in self.intervals.items()},
            )


@dataclass(frozen=True)
class Forecasted:
    """One forecaster on one panel: errors by series (unique_id, frequency, length of its history, ERRORS)."""

    forecaster: str
    panel: str
    errors: pl.DataFrame
    joined: pl.DataFrame | pl.LazyFrame
    """unique_id, frequency, ds, y, forecast, lo-90 and so on, components: what is drawn and published.
    In files where it is large (`gathering`)."""
    points: Points
    components: Sequence[str] = field(default_factory=tuple)
    """Columns of `joined` that add up to the forecast."""
    kind: str | None = None
    """What made the forecasts, as the catalogue calls it; None: not known."""

    def frequencies(self) -> list[str]:
        """From slow to fast, others after them by name."""
        order = {name: i for i, name in enumerate(FREQUENCIES)}
        names = self.errors["frequency"].unique().to_list()
        return sorted(names, key=lambda name: (order.get(name, len(order)), name))

    def rows(self, unique_id: str) -> pl.DataFrame:
        """What is drawn of one series."""
        return self.joined.lazy().filter(pl.col("unique_id") == unique_id).collect()

    def within(self, frequency: str | None) -> pl.DataFrame:
        """The errors of one frequency, or of all."""
        return self.errors if frequency is None else self.errors.filter(pl.col("frequency") == frequency)

    def points_within(self, frequency: str | None) -> Points:
        """The points of one frequency, or of all."""
        if frequency is None:
            return self.points
        return self.points.of((self.errors["frequency"] == frequency).to_list())


def models(columns: Sequence[str]) -> list[str]:
    """The columns of a table in Nixtla's format that are point forecasts (or components of one)."""
    names = [column for column in columns if column not in OTHER_COLUMNS]
    return [name for name in names if (found := _end_of(name)) is None or found[0] not in names]


def _end_of(column: str) -> tuple[str, str, int] | None:
    """Model, `lo` or `hi`, and level of `model-lo-90`."""
    match = re.fullmatch(r"(.+)-(lo|hi)-([1-9][0-9]?)", column)
    return (match[1], match[2], int(match[3])) if match else None


def score_series(
    forecasts: pl.DataFrame,
    truth: pl.DataFrame,
    history: pl.DataFrame | Mapping[str, Floats],
    *,
    forecaster: str,
    panel: str,
    seasonality: Mapping[str, int],
    components: Sequence[str] = (),
    kind: str | None = None,
) -> Forecasted:
    """Join forecasts (unique_id, ds, `forecaster`) to the truth (unique_id, ds, y, frequency) and score.

    `history` (unique_id, ds, y, or values by unique_id) is what comes before the test split and scales MASE;
    `seasonality` is the season's length by frequency. Every point of the truth must be forecast; the columns
    `<forecaster>-lo-90` and `-hi-90` are its interval at that level.
    """
    found = {column: _end_of(column) for column in forecasts.columns}
    ends = {column: end for column, end in found.items() if end is not None and end[0] == forecaster}
    renamed = {forecaster: "forecast"} | {column: f"{end[1]}-{end[2]}" for column, end in ends.items()}
    chosen = forecasts.select(
        *KEYS, *(pl.col(column).alias(name) for column, name in renamed.items()), *components
    )
    joined = truth.join(chosen, on=KEYS, how="left")
    joined = joined.select("unique_id", "frequency", "ds", "y", *renamed.values(), *components).sort(KEYS)
    missing = joined.filter(pl.col("forecast").is_null() | pl.col("forecast").is_nan())
    if missing.height:
        row = missing.row(0, named=True)
        raise UserError(
            f"forecast {forecaster}: no forecast of {row['unique_id']} at {row['ds']} "
            f"({missing.height} of {joined.height} points); forecast the panel {panel} again"
        )
    pasts = history if isinstance(history, Mapping) else _pasts(history)
    parts = joined.partition_by("unique_id", maintain_order=True)
    ids = [str(part["unique_id"][0]) for part in parts]
    frequencies = [str(part["frequency"][0]) for part in parts]
    past_NT = metrics.padded([pasts[name] for name in ids])

    def stacked(column: str) -> Floats:
        return _rows([part[column].cast(pl.Float64).fill_null(np.nan).to_numpy() for part in parts])

    actual_NH, forecast_NH = stacked("y"), stacked("forecast")
    scale_N = np.full(len(ids), np.nan)
    for frequency in set(frequencies):
        own = np.asarray(frequencies) == frequency
        scale_N[own] = metrics.naive_scale(past_NT[own], seasonality=seasonality[frequency])
    levels = sorted({end[2] for end in ends.values()})
    points = Points(
        actual_NH,
        forecast_NH,
        np.where(scale_N > 0, scale_N, np.nan),
        {level: (stacked(f"lo-{level}"), stacked(f"hi-{level}")) for level in levels},
    )
    absolute_N = metrics.forecasts.mean_known(np.abs(actual_NH - forecast_NH))
    errors = pl.DataFrame(
        {
            "unique_id": ids,
            "frequency": frequencies,
            "length": [len(pasts[name]) for name in ids],
            "smape": metrics.smape(actual_NH, forecast_NH),
            "mase": absolute_N / points.scale_N,
            "mape": metrics.mape(actual_NH, forecast_NH),
            "rmsse": metrics.rmsse(actual_NH, forecast_NH, history=past_NT),
        }
    )
    return Forecasted(forecaster, panel, errors, joined, points, tuple(components), kind)


def _pasts(history: pl.DataFrame) -> dict[str, Floats]:
    parts = history.sort(KEYS).partition_by("unique_id", as_dict=True)
    return {str(key[0]): part["y"].to_numpy() for key, part in parts.items()}


def _rows(parts: Sequence[Floats]) -> Floats:
    """(N, H), with nan past a shorter horizon."""
    made_NH = np.full((len(parts), max(len(part) for part in parts)), np.nan)
    for row, part in zip(made_NH, parts, strict=True):
        row[: len(part)] = part
    return made_NH


def mean_statistic(values_NM: Floats) -> tuple[Floats, Floats]:
    """What `means` takes: the values with 0 for nan, and 1 where they are defined."""
    defined_NM = np.isfinite(values_NM).astype(np.float64)
    return np.where(defined_NM > 0, values_NM, 0.0), defined_NM


def means(weights_BN: Floats, filled_NM: Floats, defined_NM: Floats) -> Floats:
    """Weighted means (B, M) over the series that have a value; nan where none has."""
    with np.errstate(invalid="ignore", divide="ignore"):
        # einsum, not @: a matrix product's last bits depend on the number of threads.
        return np.asarray(
            np.einsum("bn,nm->bm", weights_BN, filled_NM) / np.einsum("bn,nm->bm", weights_BN, defined_NM)
        )


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
    filled_NM, defined_NM = mean_statistic(np.column_stack(columns))

    def score(weights_BN: Floats) -> Floats:
        means_BM = means(weights_BN, filled_NM, defined_NM)
        scores = [means_BM[:, : len(ERRORS)]]
        if naive2 is not None:
            with np.errstate(invalid="ignore", divide="ignore"):
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
    draws = bootstrap(score, own.height, resamples=resamples, seed=seed, numbers=NUMBERS)
    return names, draws, {name: counts[name] for name in names}
