"""Pairs of forecasters within each series, over the origins of a backtest (Diebold-Mariano by series).

A panel's mean says nothing of one series; its own origins do. Its losses are the mean absolute errors over
the horizon at each origin, all before the test part. Origins closer than a horizon share points, so as many
neighbours as overlap enter the variance (`significance.diebold_mariano`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seedbed.evaluation.intervals import Floats
from seedbed.evaluation.randomisation import holm
from seedbed.evaluation.significance import benjamini_hochberg, diebold_mariano

COLUMNS = {
    "panel": pl.String,
    "frequency": pl.String,
    "a": pl.String,
    "b": pl.String,
    "unique_id": pl.String,
    "statistic": pl.Float64,
    "p": pl.Float64,
    "p_holm": pl.Float64,
    "p_bh": pl.Float64,
    "n": pl.Int64,
    "overlap": pl.Int64,
}


@dataclass(frozen=True)
class Origins:
    """A forecaster's backtest: errors (unique_id, frequency, cutoff, error), and points between cutoffs."""

    errors: pl.DataFrame
    steps: Mapping[str, int]
    """By frequency."""


@dataclass(frozen=True)
class Share:
    """Of the series of a frequency, how many a test tells apart, each way."""

    panel: str
    frequency: str
    a: str
    b: str
    correction: str
    """none, holm (any false one with probability 1 - confidence at most) or bh (their expected share is)."""
    series: int
    tested: int
    """Those with enough origins, whose differences vary."""
    a_better: int
    b_better: int


def compare_origins(
    a: Origins, b: Origins, *, names: tuple[str, str], panel: str, horizons: Mapping[str, int]
) -> pl.DataFrame:
    """One row for each series that both have origins of; p corrected over the series of its frequency."""
    both = a.errors.join(b.errors, on=("unique_id", "frequency", "cutoff"), suffix="_b")
    rows: list[pl.DataFrame] = []
    for (found,), part in sorted(both.partition_by("frequency", as_dict=True).items()):
        frequency = str(found)
        overlap = ceil(horizons[frequency] / min(a.steps[frequency], b.steps[frequency]))
        part = part.sort("unique_id", "cutoff")
        difference_T = (part["error"] - part["error_b"]).to_numpy()
        # one table for each of many series would take more memory than all their errors
        lengths = part["unique_id"].rle().struct.field("len").to_numpy()
        ends = np.cumsum(lengths, dtype=np.int64)
        ids = part["unique_id"].gather(ends - 1).to_list()
        statistics, ps, counts = [], [], []
        for first, last in zip(ends - lengths, ends, strict=True):
            made = diebold_mariano(difference_T[first:last], horizon=overlap)
            statistics.append(made.statistic)
            ps.append(made.p)
            counts.append(made.n)
        constant = {"panel": panel, "frequency": frequency, "a": names[0], "b": names[1]}
        columns = {
            "unique_id": ids,
            "statistic": statistics,
            "p": ps,
            "p_holm": holm(ps),
            "p_bh": benjamini_hochberg(ps),
            "n": counts,
        }
        values = constant | columns | {"overlap": overlap}
        rows.append(pl.DataFrame(values, schema=COLUMNS))
    return pl.concat(rows) if rows else pl.DataFrame(schema=COLUMNS)


def shares(tests: pl.DataFrame, *, confidence: float) -> list[Share]:
    """What a table of tests says of each frequency and pair, with and without correction."""
    made = []
    keys = ("panel", "frequency", "a", "b")
    for found, part in tests.partition_by(keys, as_dict=True, maintain_order=True).items():
        statistic_N = part["statistic"].to_numpy()
        for correction, column in (("none", "p"), ("holm", "p_holm"), ("bh", "p_bh")):
            apart_N = _below(part[column].to_numpy(), 1 - confidence)
            counts = (int(np.sum(apart_N & (statistic_N < 0))), int(np.sum(apart_N & (statistic_N > 0))))
            tested = int(np.isfinite(statistic_N).sum())
            panel, frequency, a, b = (str(value) for value in found)
            made.append(Share(panel, frequency, a, b, correction, part.height, tested, *counts))
    return made


def _below(p_N: Floats, limit: float) -> NDArray[np.bool_]:
    return np.where(np.isfinite(p_N), p_N, 1.0) <= limit
