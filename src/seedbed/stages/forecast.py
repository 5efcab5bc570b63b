"""forecast: a panel to forecasts of its test part, the forecaster that made them, metrics and curves.

The forecaster is fitted without the valid part and scored on it; then, if the recipe says `refit`, fitted
again on train and valid together. The test part is not read.
"""

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.fitting import Curve, Fitted, Fitting, score
from seedbed.forecasting.panels import SeriesSet
from seedbed.forecasting.saved import Card, forecast_table, save_forecaster
from seedbed.model_card import write_card
from seedbed.tracking import Run, open_run
from seedbed.training.curves import write_curves
from seedbed.workspace import Workspace, hash_bytes, write_json


def inputs(recipe: ForecastRecipe) -> list[tuple[str, str]]:
    """The artifacts this stage reads."""
    return [("fetch", recipe.source)]


def run(workspace: Workspace, recipe: ForecastRecipe) -> None:
    """Write forecasts.parquet, forecaster.json, members/, metrics.json and curves.csv."""
    import polars as pl

    panel = recipe.panel.load(workspace.input("fetch", recipe.source))
    fitted: dict[str, Fitted] = {}
    curves: dict[str, Curve] = {}
    tables: list[pl.DataFrame] = []
    scores: dict[str, dict[str, float]] = {}
    sizes: dict[str, int] = {}
    with open_run(workspace) as tracker:
        parts = zip(panel.sets("train"), panel.valid(), panel.sets("history"), strict=True)
        for train, valid, history in parts:
            name = train.frequency
            with tracker.child(name) as child:
                first = _fit(workspace, recipe, train, valid=valid, tracker=child, part="valid")
                scores[name] = score(first.forecast(train).values_NH, valid, history=train)
                child.log_metrics({f"valid/{key}": value for key, value in scores[name].items()})
                curves[name] = first.curves
                fitted[name] = first
                if recipe.refit and recipe.training is not None:
                    fitted[name] = _fit(workspace, recipe, history, valid=None, tracker=child, part="refit")
                    curves[f"{name}/refit"] = fitted[name].curves
            sizes[name] = len(train)
            tables.append(forecast_table(history, fitted[name].forecast(history), column=workspace.run))
        metrics = _metrics(scores, sizes)
        tracker.log_metrics(metrics)
        with workspace.publish() as out:
            # diagonal: a component that one frequency lacks is null there
            pl.concat(tables, how="diagonal").write_parquet(out / "forecasts.parquet")
            card = Card(run=workspace.run, forecaster=recipe.forecaster, frequencies=recipe.panel.frequencies)
            save_forecaster(out, card, fitted)
            write_json(out / "metrics.json", metrics)
            write_card(
                out,
                workspace,
                facts={
                    "forecaster": recipe.forecaster.name,
                    **{f"series, {frequency}": size for frequency, size in sizes.items()},
                },
                metrics=metrics,
                tags=["time-series-forecasting", recipe.forecaster.name],
                digests={f"fetch/{recipe.source}": hash_bytes(panel.history.write_csv().encode())},
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
    label = f"forecast {workspace.run} {series.frequency}" + (" refit" if part == "refit" else "")
    with ExitStack() as stack:
        # curves of the second fit stand beside those of the first, not among them
        run_of_fit = stack.enter_context(tracker.child(part)) if part == "refit" else tracker
        scratch: Path = workspace.scratch / series.frequency / part
        fitting = Fitting(recipe.training, workspace.machine, scratch, run_of_fit, label)
        return recipe.forecaster.fit(series, valid=valid, fitting=fitting)


def _metrics(scores: dict[str, dict[str, float]], sizes: dict[str, int]) -> dict[str, float]:
    """By frequency, and over all series, each counting once."""
    metrics = {
        f"valid/{frequency}/{key}": value for frequency, own in scores.items() for key, value in own.items()
    }
    for key in ("smape", "mase"):
        frequencies = [frequency for frequency, own in scores.items() if key in own]
        if frequencies:
            weights = [sizes[frequency] for frequency in frequencies]
            metrics[f"valid/{key}"] = float(
                np.average([scores[frequency][key] for frequency in frequencies], weights=weights)
            )
    return metrics
