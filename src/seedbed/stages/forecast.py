"""forecast: a panel to forecasts of its test part, the forecaster that made them, metrics and curves.

The forecaster is fitted without the valid part and scored on it; then, if the recipe says `refit`, fitted
again on train and valid together. Where no series is long enough for a valid part, the second fit is the
only one. A backtest fits and forecasts at earlier cutoffs; its errors make the intervals that `conformal`
asks for. The test part is not read.
"""

from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import numpy as np

from seedbed.data.spool import Spool, write_table
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.backtest import origins
from seedbed.forecasting.collected import Collected
from seedbed.forecasting.conformal import Calibration
from seedbed.forecasting.fitting import Curve, Fitted, Fitting, forecast_values, score
from seedbed.forecasting.panels import SeriesSet
from seedbed.forecasting.panels.pieces import in_pieces
from seedbed.forecasting.saved import Card, forecast_table, save_forecaster
from seedbed.model_card import write_card
from seedbed.tracking import Run, open_run
from seedbed.training.curves import write_curves
from seedbed.workspace import Workspace, write_json


def inputs(recipe: ForecastRecipe) -> list[tuple[str, str]]:
    """The artifacts this stage reads."""
    models = [] if recipe.model is None else [("forecast", recipe.model)]
    return [("fetch", recipe.source), *models]


def run(workspace: Workspace, recipe: ForecastRecipe) -> None:
    """Write forecasts, forecaster, calibration, metrics.json, panel.json, curves.csv, a backtest's table."""
    panel = recipe.panel.load(
        workspace.input("fetch", recipe.source), scratch=workspace.scratch / "panel" / str(workspace.rank)
    )
    for line in panel.lines() if workspace.rank == 0 else ():
        print(f"forecast {workspace.run}: {line}")
    fitted: dict[str, Fitted] = {}
    curves: dict[str, Curve] = {}
    tables = Spool(workspace.scratch / "forecasts" / str(workspace.rank))
    scores: dict[str, dict[str, float]] = {}
    sizes: dict[str, int] = {}
    tested: dict[str, Collected] = {}
    calibrations: dict[str, Calibration] = {}
    with open_run(workspace) as tracker:
        parts = zip(panel.sets("train"), panel.valid(), panel.sets("history"), strict=True)
        for train, valid, history in parts:
            name = train.frequency
            with tracker.child(name) as child:
                first = (
                    _fit(workspace, recipe, train, valid=valid, tracker=child, part="valid")
                    if len(train)
                    else None
                )
                if first is not None:
                    scores[name] = score(forecast_values(first, train), valid, history=train)
                    child.log_metrics({f"valid/{key}": value for key, value in scores[name].items()})
                    curves[name] = first.curves
                    fitted[name] = first
                if first is None or (recipe.refit and recipe.training is not None):
                    fitted[name] = _fit(workspace, recipe, history, valid=None, tracker=child, part="refit")
                    curves[f"{name}/refit"] = fitted[name].curves
                if recipe.backtest is not None:
                    tested[name] = _backtest(workspace, recipe, history, first=first, tracker=child)
            sizes[name] = len(train)
            if recipe.conformal is not None:
                calibrations[name] = tested[name].calibration()
            for _, piece in in_pieces(history):
                forecasts = fitted[name].forecast(piece)
                if name in calibrations:
                    forecasts = calibrations[name].around(forecasts, piece)
                tables.add(forecast_table(piece, forecasts, column=workspace.run))
        metrics = _metrics(scores, sizes, tested)
        tracker.log_metrics(metrics)
        with workspace.publish() as out:
            write_table(tables.table(), out / "forecasts.parquet")
            if tested:
                validation = Spool(workspace.scratch / "validation" / str(workspace.rank))
                for table in chain.from_iterable(own.tables() for own in tested.values()):
                    validation.add(table)
                write_table(validation.table(), out / "cross_validation.parquet")
            card = Card(
                run=workspace.run,
                forecaster=recipe.forecaster,
                frequencies=recipe.panel.frequencies,
                covariates=recipe.panel.covered(),
            )
            save_forecaster(out, card, fitted, calibrations)
            write_json(out / "metrics.json", metrics)
            write_json(out / "panel.json", panel.facts())
            write_card(
                out,
                workspace,
                facts={
                    "forecaster": recipe.forecaster.name,
                    **{f"series, {frequency}": size for frequency, size in sizes.items()},
                },
                metrics=metrics,
                tags=["time-series-forecasting", recipe.forecaster.name],
                digests={f"fetch/{recipe.source}": panel.digest()},
                limits=["The results are of the valid part; forecasts.parquet begins where that ends."],
            )
            write_curves(out / "curves.csv", curves)


def _fit(
    workspace: Workspace,
    recipe: ForecastRecipe,
    series: SeriesSet,
    *,
    valid: SeriesSet | None,
    tracker: Run,
    part: str,
) -> Fitted:
    label = f"forecast {workspace.run} {series.frequency}" + ("" if part == "valid" else f" {part}")
    with ExitStack() as stack:
        # curves of further fits stand beside those of the first, not among them
        run_of_fit = tracker if part == "valid" else stack.enter_context(tracker.child(part))
        scratch: Path = workspace.scratch / series.frequency / part
        model = None if recipe.model is None else workspace.input("forecast", recipe.model)
        fitting = Fitting(recipe.training, workspace.machine, scratch, run_of_fit, label, model)
        return recipe.forecaster.fit(series, valid=valid, fitting=fitting)


def _backtest(
    workspace: Workspace, recipe: ForecastRecipe, history: SeriesSet, *, first: Fitted | None, tracker: Run
) -> Collected:
    """What the windows tell; `first`, if any, was fitted without the valid part, as the last one would be."""
    assert recipe.backtest is not None

    def fit(series: SeriesSet, behind: int) -> Fitted:
        if first is not None and behind == series.config.horizon:
            return first
        return _fit(workspace, recipe, series, valid=None, tracker=tracker, part=f"backtest-{behind}")

    folder = workspace.scratch / "backtest" / str(workspace.rank) / history.frequency
    collected = Collected(folder, column=workspace.run, conformal=recipe.conformal)
    for origin in origins(history, recipe.backtest, fit=fit):
        collected.add(origin)
    return collected


def _metrics(
    scores: dict[str, dict[str, float]], sizes: dict[str, int], tested: dict[str, Collected]
) -> dict[str, float]:
    """By frequency, and on the valid part over all series, each counting once."""
    metrics = {
        f"{part}/{frequency}/{key}": value
        for part, of_part in (
            ("valid", scores),
            ("backtest", {frequency: own.scores() for frequency, own in tested.items()}),
        )
        for frequency, own in of_part.items()
        for key, value in own.items()
    }
    for key in ("smape", "mase"):
        frequencies = [frequency for frequency, own in scores.items() if key in own]
        if frequencies:
            weights = [sizes[frequency] for frequency in frequencies]
            metrics[f"valid/{key}"] = float(
                np.average([scores[frequency][key] for frequency in frequencies], weights=weights)
            )
    return metrics
