"""evaluate: open the test splits once, score every run that params.yaml names, write reports/."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from seedbed.corpora import TestSplit
from seedbed.evaluation import EvaluateRecipe, tables
from seedbed.evaluation.assess import assess_panel, assess_text
from seedbed.evaluation.classification import Classified
from seedbed.evaluation.findings import ALL, Findings, PanelResult
from seedbed.evaluation.report import render
from seedbed.evaluation.scored import Scored, score
from seedbed.evaluation.series import Forecasted, score_series
from seedbed.evaluation.sources import read_counts, read_curves, read_lineage, read_numbers
from seedbed.forecasting import ForecastRecipe
from seedbed.progress import track
from seedbed.tasks import ClassificationTask, FinetuneRecipe, label_names, predict_test
from seedbed.tasks.prediction import read_facts
from seedbed.tracking import open_run
from seedbed.tracking.lineage import commit, datasets
from seedbed.workspace import Workspace, hash_json

if TYPE_CHECKING:
    from seedbed.recipes import Lock

TRAINED = ("pretrain", "finetune", "forecast")


def inputs(recipe: EvaluateRecipe, lock: "Lock") -> list[tuple[str, str]]:
    """The artifacts of the runs that the lock names; a folder that a removed run left is none."""
    del recipe
    named = [(verb, run) for verb in ("preprocess", *TRAINED) for run in getattr(lock, verb)]
    return named + sorted({("fetch", forecast.source) for forecast in lock.forecast.values()})


def run(workspace: Workspace, recipe: EvaluateRecipe, lock: "Lock") -> None:
    """Score, compare, draw; the reports appear in one piece or not at all."""
    with open_run(workspace) as tracker:
        findings = find(workspace, recipe, lock)
        with workspace.publish() as out:
            tables.write(findings, out)
            (out / "report.html").write_text(render(findings), encoding="utf-8")
            tracker.log_metrics(tables.flatten(tables.metrics_tree(findings)))
            tracker.log_artifact(out / "report.html")
            tracker.log_artifact(out / "tables")
    for verdict in findings.headline:
        print(f"{verdict.task}: {verdict.words} (P {verdict.p_better:.3f}, n {verdict.difference.n})")


def find(workspace: Workspace, recipe: EvaluateRecipe, lock: "Lock") -> Findings:
    """Everything the reports say."""
    key = TestSplit(opened_by="evaluate")
    tasks, verdicts = assess_text(_classified(workspace, lock, key), recipe)
    panels: list[PanelResult] = []
    for forecasts, history in _forecasted(workspace, lock, key):
        panel, of_panel = assess_panel(forecasts, history, recipe)
        panels.append(panel)
        verdicts += of_panel
    trained = [(verb, run) for verb in TRAINED for run in getattr(lock, verb)]
    hashes = {entry["name"]: entry["digest"] for entry in datasets(workspace)}
    return Findings(
        confidence=recipe.confidence,
        resamples=recipe.resamples,
        tasks=tasks,
        panels=panels,
        headline=[v for v in verdicts if v.scope == ALL],
        details=[v for v in verdicts if v.scope != ALL],
        curves=[c for verb, run in trained for c in read_curves(workspace.input(verb, run), verb, run)],
        pretraining={
            run: read_numbers(workspace.input("pretrain", run) / "metrics.json") for run in lock.pretrain
        },
        corpora=[read_counts(workspace.input("preprocess", run), run) for run in lock.preprocess],
        lineage=read_lineage(workspace.root, trained, hashes),
        commit=commit(workspace.root),
        lock_digest=workspace.lock_digest,
        fingerprint=workspace.fingerprint,
        scored=_scored(workspace, recipe, lock, key),
    )


def _labelling(lock: "Lock") -> dict[str, FinetuneRecipe]:
    """The text runs whose task gives each text its label."""
    return {n: r for n, r in sorted(lock.finetune.items()) if isinstance(r.task, ClassificationTask)}


def _scored(workspace: Workspace, evaluate: EvaluateRecipe, lock: "Lock", key: TestSplit) -> list[Scored]:
    """The other text runs."""
    found = []
    for name in sorted(set(lock.finetune) - set(_labelling(lock))):
        recipe, folder = lock.finetune[name], workspace.input("finetune", name)
        corpus = workspace.input("preprocess", recipe.corpus)
        frame = predict_test(recipe, folder, corpus, key, threads=workspace.machine.threads)
        found.append(
            score(
                frame,
                partial(recipe.task.statistics, facts=read_facts(folder)),
                run=name,
                task=recipe.task.title(recipe.corpus),
                resamples=evaluate.resamples,
                confidence=evaluate.confidence,
                seed=evaluate.seed,
            )
        )
    return found


def _classified(workspace: Workspace, lock: "Lock", key: TestSplit) -> list[Classified]:
    found = []
    labelling = _labelling(lock)
    for name, recipe in track(labelling.items(), "test splits", len(labelling), "run"):
        folder = workspace.input("finetune", name)
        corpus = workspace.input("preprocess", recipe.corpus)
        frame = predict_test(recipe, folder, corpus, key, threads=workspace.machine.threads)
        task = recipe.task.title(recipe.corpus)
        found.append(Classified.of(frame, run=name, task=task, label_names=label_names(folder)))
    return found


def _forecasted(
    workspace: Workspace, lock: "Lock", key: TestSplit
) -> Iterator[tuple[list[Forecasted], pl.DataFrame]]:
    """For each panel, its forecasters and the series before the test split."""
    groups: dict[str, dict[str, ForecastRecipe]] = {}
    for name, recipe in sorted(lock.forecast.items()):
        # The same source with another horizon is another panel: its test split is not the same.
        same = hash_json([recipe.source, recipe.panel.model_dump(mode="json")])
        groups.setdefault(same, {})[name] = recipe
    for recipes in groups.values():
        source, config = next((r.source, r.panel) for r in recipes.values())
        panel = config.load(workspace.input("fetch", source))
        truth, history = panel.test(key), panel.history
        found = []
        for name in recipes:
            forecasts = pl.read_parquet(workspace.input("forecast", name) / "forecasts.parquet")
            for column in forecasters(forecasts.columns, name):
                forecaster = name if column == "forecast" else column
                found.append(
                    score_series(
                        forecasts.rename({column: forecaster}),
                        truth,
                        history,
                        forecaster=forecaster,
                        panel=source,
                        seasonality=panel.seasonality,
                    )
                )
        yield found, history


def forecasters(columns: Sequence[str], run: str) -> list[str]:
    """The columns of a table of forecasts to score: the run's own, else every model column."""
    models = [c for c in columns if c not in ("unique_id", "ds", "cutoff", "frequency", "y")]
    return [run] if run in models else models
