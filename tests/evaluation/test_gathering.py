"""Pieces of a forecaster become one: series by name, short horizons filled up, points on disk and in bounds."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed.data import spool
from seedbed.evaluation import gathering, series, slices
from seedbed.evaluation.gathering import Gathering
from seedbed.evaluation.intervals import Floats
from seedbed.evaluation.series import Forecasted, score_series
from seedbed.evaluation.slices import Sampling
from tests.evaluation import examples

SAMPLING = Sampling(confidence=0.95, resamples=100, seed=0)


def scored(keep: pl.Expr) -> Forecasted:
    """The run with intervals of the shared example, of some of its series."""
    forecasts, truth, history = (table.filter(keep) for table in examples.panel(12))
    return score_series(
        forecasts,
        truth,
        history,
        forecaster="nbeats-x",
        panel="classics",
        seasonality=examples.SEASONALITY,
        components=("추세 <trend>", "season"),
    )


@pytest.fixture
def pieces() -> list[Forecasted]:
    """Quarterly series first, then yearly ones, whose last point is left out."""
    name, short = pl.col("unique_id"), pl.col("ds").dt.year() < 1979
    quarterly, yearly = name.str.starts_with("quarterly"), name.str.starts_with("yearly")
    first = name.str.contains("[:][0-4]")
    return [scored(part) for part in (quarterly & first, quarterly & ~first, yearly & short)]


def on_disk(array: Any) -> bool:
    """Whether the memory under views of views is a mapped file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def whole(pieces: list[Forecasted], folder: Path) -> Forecasted:
    one = Gathering(folder)
    for piece in pieces:
        one.add(piece)
    return one.whole()


@pytest.mark.parametrize("values", [5, 1000])
def test_rows_are_those_of_their_series(
    pieces: list[Forecasted], tmp_path: Path, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "COPIED_VALUES", values)
    found = whole(pieces[::-1], tmp_path)
    ids = found.errors["unique_id"].to_list()
    assert ids == sorted(ids) and len(ids) == 12
    for piece in pieces:
        width = piece.points.actual_NH.shape[1]
        for row, unique_id in enumerate(piece.errors["unique_id"]):
            there = ids.index(unique_id)
            for a, b in [
                (found.points.actual_NH, piece.points.actual_NH),
                (found.points.forecast_NH, piece.points.forecast_NH),
                *zip(found.points.intervals[95], piece.points.intervals[95], strict=True),
            ]:
                np.testing.assert_array_equal(a[there, :width], b[row])
                assert np.isnan(a[there, width:]).all()
            assert found.points.scale_N[there] == piece.points.scale_N[row]
    assert {piece.points.actual_NH.shape[1] for piece in pieces} == {3, 4}


def test_points_lie_on_disk_and_are_looked_at_in_bounds(
    pieces: list[Forecasted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With bounds that a few series fill, the slices are the same and no more is held at once."""
    found = whole(pieces, tmp_path)
    ends = [end for both in found.points.intervals.values() for end in both]
    for points_NH in (found.points.actual_NH, found.points.forecast_NH, *ends):
        assert on_disk(points_NH) and not points_NH.flags.writeable
    expected = slices.slices(found, SAMPLING)
    held: list[int] = []
    mean_statistic = series.mean_statistic

    def counted(values_NM: Floats) -> tuple[Floats, Floats]:
        held.append(values_NM.size)
        return mean_statistic(values_NM)

    for module in (series, slices):
        monkeypatch.setattr(module, "NUMBERS", 24)
        monkeypatch.setattr(module, "mean_statistic", counted)
    bounded = slices.slices(found, SAMPLING)
    assert max(held) <= 24 < 12 * 8
    assert len(bounded) == len(expected)
    for one, other in zip(bounded, expected, strict=True):
        assert (one.by, one.at, one.metric, one.level) == (other.by, other.at, other.metric, other.level)
        np.testing.assert_allclose(one.estimate.value, other.estimate.value, rtol=1e-14)
        np.testing.assert_allclose(one.estimate.low, other.estimate.low, rtol=1e-12)


def test_rows_of_many_series_go_to_files(
    pieces: list[Forecasted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "ROWS_IN_MEMORY", 10)
    found = whole(pieces, tmp_path)
    assert isinstance(found.joined, pl.LazyFrame)
    assert found.joined.collect().height == sum(piece.joined.lazy().collect().height for piece in pieces)
