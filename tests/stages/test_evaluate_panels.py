"""Panels from file to tables: memory holds a piece and a few numbers a series, however many series there are."""

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed.config import Machine
from seedbed.corpora import TestSplit
from seedbed.evaluation import EvaluateRecipe
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.baselines import FittedBaseline
from seedbed.forecasting.fitting import Forecasts
from seedbed.forecasting.panels import SeriesSet
from seedbed.stages import evaluate_panels, forecast
from seedbed.tracking import SilentRun
from seedbed.workspace import Workspace, artifact

POINTS, HORIZON, FEW, MANY = 700, 200, 15, 90
PIECE = 5 * POINTS
RUN = "naive-mine"
RECIPE = ForecastRecipe.parse(
    {
        "source": "mine",
        "panel": {
            "name": "long",
            "frequencies": {"counted": {"step": "1i", "horizon": HORIZON, "seasonality": 4}},
        },
        "forecaster": {"name": "naive"},
        "backtest": {"windows": 2, "step": 20},
        "conformal": {"levels": [50, 80]},
    },
    "forecast.x",
)
JUDGED = EvaluateRecipe.parse({"resamples": 100, "forecast": [{"a": "naive*", "b": "naive2*"}]}, "evaluate")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that the fewer series fill already."""

    @contextmanager
    def open_run(workspace: Workspace, label: str | None = None) -> Iterator[SilentRun]:
        yield SilentRun()

    monkeypatch.setattr(forecast, "open_run", open_run)
    bounds: dict[str, int] = {
        "forecasting.panels.pieces.PIECE_POINTS": PIECE,
        "forecasting.panels.tables.PIECE_ROWS": 5 * POINTS,
        "forecasting.panels.series.COPIED_POINTS": 5 * POINTS,
        "data.spool.ROWS_IN_MEMORY": 5 * HORIZON,
        "data.flat.COPIED_VALUES": 5 * HORIZON,
        "forecasting.windows.CHUNK": 5 * POINTS,
        "evaluation.series.NUMBERS": 5 * HORIZON,
        "evaluation.slices.NUMBERS": 5 * HORIZON,
        "evaluation.gathering.COPIED_VALUES": 5 * HORIZON,
        "forecasting.collected.SERIES_SORTED": 5,
        "forecasting.panels.splits.COPIED_POINTS": 5 * POINTS,
    }
    for name, bound in bounds.items():
        monkeypatch.setattr(f"seedbed.{name}", bound)


def workspace(root: Path, verb: str, run: str) -> Workspace:
    source = root / "data/raw/mine"
    return Workspace(
        root=root,
        verb=verb,
        run=run,
        machine=Machine(threads=1),
        out=artifact(root, verb, run),
        scratch=root / ".scratch" / verb,
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={},
        inputs={"fetch/mine": source, f"forecast/{RUN}": artifact(root, "forecast", RUN)},
    )


def write(root: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    folder = root / "data/raw/mine"
    folder.mkdir(parents=True)
    pl.DataFrame(
        {
            "unique_id": np.repeat([f"시계열-{i:05d}" for i in range(count)], POINTS),
            "ds": np.tile(np.arange(POINTS), count),
            "y": 100 + np.cumsum(rng.normal(0, 1, (count, POINTS)), axis=1).ravel(),
        }
    ).write_parquet(folder / "series.parquet", row_group_size=5 * POINTS)


def score(root: Path) -> None:
    lock: Any = SimpleNamespace(forecast={RUN: RECIPE})
    there = workspace(root, "evaluate", "report")
    [(_, runs, backtests)] = evaluate_panels.scored_panels(there, JUDGED, lock, TestSplit(opened_by="a test"))
    assert len(runs) == 3 and len(backtests) == 3 and all(run.points.intervals for run in runs[:1])


def most_bytes(root: Path, count: int) -> tuple[int, int]:
    """The most that Python and NumPy hold in the stage forecast, and while evaluate scores the panel."""
    write(root, count)
    found = []
    for stage in (lambda: forecast.run(workspace(root, "forecast", RUN), RECIPE), lambda: score(root)):
        gc.collect()
        tracemalloc.start()
        try:
            stage()
            found.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return found[0], found[1]


def test_memory_does_not_hold_the_panel(tmp_path: Path) -> None:
    """Beyond the first few series each adds less than two horizons of numbers: its own past has two and a half of them,
    the points of three forecasters and of their intervals ten, two windows of a backtest twelve."""
    most_bytes(tmp_path / "warm", FEW)
    few, many = most_bytes(tmp_path / "few", FEW), most_bytes(tmp_path / "many", MANY)
    for stage, before, after in zip(("forecast", "evaluate"), few, many, strict=True):
        each = (after - before) / (MANY - FEW)
        assert each < 2 * 8 * HORIZON, f"{stage}: {each:.0f} bytes for each series"


def test_a_forecaster_never_meets_more_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither to be scored on the valid part nor in the backtest, the test part or beside others' forecasts."""
    asked: list[int] = []
    forecast_of = FittedBaseline.forecast

    def counted(self: FittedBaseline, series: SeriesSet) -> Forecasts:
        asked.append(len(series.values))
        return forecast_of(self, series)

    monkeypatch.setattr(FittedBaseline, "forecast", counted)
    most_bytes(tmp_path, FEW)
    assert len(asked) > 4 * FEW * (POINTS - 2 * HORIZON) / PIECE and max(asked) <= PIECE
