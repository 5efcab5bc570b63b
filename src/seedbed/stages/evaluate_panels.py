"""The panels' part of evaluate: forecasts of runs and baselines against the test part, piece by piece."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from seedbed.corpora import TestSplit
from seedbed.evaluation import EvaluateRecipe
from seedbed.evaluation.gathering import Gathering
from seedbed.evaluation.origins import Origins
from seedbed.evaluation.series import Forecasted, models, score_series
from seedbed.forecasting import Forecaster, ForecastRecipe, PanelConfig
from seedbed.forecasting.backtest import BacktestConfig
from seedbed.forecasting.beside import (
    Means,
    backtest_beside,
    baselines_beside,
    forecast_beside,
    kind_of,
    origin_errors,
)
from seedbed.forecasting.panels import Panel
from seedbed.forecasting.panels.pieces import Piece, tested
from seedbed.workspace import Workspace, hash_json

if TYPE_CHECKING:
    from seedbed.recipes import Lock

Table = tuple[str, pl.DataFrame, Sequence[str]]
"""A forecaster's name, its forecasts and the names of their components."""


def scored_panels(
    workspace: Workspace, recipe: EvaluateRecipe, lock: "Lock", key: TestSplit
) -> Iterator[tuple[Panel, list[Forecasted], dict[str, Origins]]]:
    """Each panel, its forecasters and the baselines beside them, and the backtests of these."""
    taken = set(lock.forecast)
    groups: dict[str, dict[str, ForecastRecipe]] = {}
    for name, forecast in sorted(lock.forecast.items()):
        # The same source with another horizon is another panel: its test split is not the same.
        # Covariates are no part of what is forecast.
        config = forecast.panel.model_dump(mode="json", exclude={"covariates", "static_file"})
        same = hash_json([forecast.source, config])
        groups.setdefault(same, {})[name] = forecast
    for runs in groups.values():
        source, layout = next((r.source, r.panel) for r in runs.values())
        scratch = workspace.scratch / "panel"
        panel = layout.load(workspace.input("fetch", source), scratch=scratch)
        kinds = {name: forecast.forecaster for name, forecast in runs.items()}
        beside = baselines_beside(recipe.beside, source, runs=kinds, taken=taken)
        made_by = {name: kind_of(one) for name, one in (kinds | beside).items()}
        found: dict[str, Gathering] = {}
        tables = {name: _errors_of_run(workspace.input("forecast", name), name) for name in runs}
        errors = {name: [table] for name, table in tables.items() if table is not None}
        plan = next((runs[name].backtest for name in errors), None)
        for piece in tested(panel, key):
            truth = piece.test.frame()
            past = {name: piece.history.series(i) for i, name in enumerate(piece.history.ids)}
            for forecaster, table, components in _tables(workspace, runs, beside, piece):
                scored = score_series(
                    table,
                    truth,
                    past,
                    forecaster=forecaster,
                    panel=source,
                    seasonality=panel.seasonality,
                    components=components,
                    kind=made_by.get(forecaster),
                )
                if forecaster not in found:
                    found[forecaster] = Gathering(scratch / "scored" / forecaster)
                found[forecaster].add(scored)
            if plan is None:
                continue
            for name, one in beside.items():
                means = Means(name, workspace.machine, workspace.scratch / name)
                errors.setdefault(name, []).extend(backtest_beside(one, piece.history, plan, means=means))
        backtests = {
            name: Origins(pl.concat(parts), _steps(layout, runs[name].backtest if name in runs else plan))
            for name, parts in errors.items()
        }
        yield panel, [one.whole() for one in found.values()], backtests


def _errors_of_run(folder: Path, run: str) -> pl.DataFrame | None:
    """Of a run that has a backtest its error at each origin."""
    path = folder / "cross_validation.parquet"
    return origin_errors(pl.scan_parquet(path), run) if path.is_file() else None


def _steps(config: PanelConfig, plan: BacktestConfig | None) -> dict[str, int]:
    assert plan is not None, "a table of a backtest comes from one"
    return {name: plan.step or one.horizon for name, one in config.frequencies.items()}


def _tables(
    workspace: Workspace, runs: Mapping[str, ForecastRecipe], beside: Mapping[str, Forecaster], piece: Piece
) -> Iterator[Table]:
    for name in runs:
        yield from _of_run(workspace.input("forecast", name), name, piece.history.ids)
    for name, one in beside.items():
        means = Means(name, workspace.machine, workspace.scratch / name)
        yield name, forecast_beside(one, piece.history, means=means), ()


def _of_run(folder: Path, run: str, ids: Sequence[str]) -> Iterator[Table]:
    """Name, forecasts and components of a run's forecasters, of some series."""
    name = pl.col("unique_id")
    # the range lets whole parts of a large file be passed over
    chosen = name.is_between(pl.lit(min(ids)), pl.lit(max(ids))) & name.is_in(pl.Series(ids).implode())
    table = pl.scan_parquet(folder / "forecasts.parquet").filter(chosen).collect()
    columns = forecasters(table.columns, run)
    others = [column for column in models(table.columns) if column not in columns]
    for column in columns:
        forecaster = run if column == "forecast" else column
        yield forecaster, table.rename({column: forecaster}), others


def forecasters(columns: Sequence[str], run: str) -> list[str]:
    """The columns of a table of forecasts to score: the run's own, else every model column."""
    found = models(columns)
    return [run] if run in found else found
