"""evaluate: open the test splits once, score every run that params.yaml names, write reports/."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from seedbed.corpora import TestSplit, read_split
from seedbed.evaluation import EvaluateRecipe, tables
from seedbed.evaluation.assess import assess_panel, assess_text
from seedbed.evaluation.classification import Classified
from seedbed.evaluation.examine import Evidence, contamination, examine, examine_answers
from seedbed.evaluation.findings import ALL, Findings, PanelResult
from seedbed.evaluation.predicted import Predicted
from seedbed.evaluation.registration import register
from seedbed.evaluation.report import render
from seedbed.evaluation.scored import Answered, Judge
from seedbed.evaluation.sources import read_counts, read_curves, read_lineage, read_numbers
from seedbed.evaluation.text_slices import Text
from seedbed.progress import track
from seedbed.stages.evaluate_panels import scored_panels
from seedbed.tasks import Task, TaskFacts, predict_test
from seedbed.tasks.inspection import test_examples
from seedbed.tasks.prediction import read_facts
from seedbed.tracking import open_run
from seedbed.tracking.lineage import commit, datasets
from seedbed.workspace import Workspace

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
            register(tracker, findings)
    for v in findings.headline:
        sure = "too few" if v.outcome == "too few" else f"P {v.p_better:.3f}"
        print(f"{v.task}: {v.words} ({sure}, n {v.difference.n})")


def find(workspace: Workspace, recipe: EvaluateRecipe, lock: "Lock") -> Findings:
    """Everything the reports say."""
    key = TestSplit(opened_by="evaluate")
    runs = _predicted(workspace, lock, key)
    tasks, answered, verdicts = assess_text(runs, recipe)
    evidence = dict(_evidence(workspace, lock, key))
    panels: list[PanelResult] = []
    for panel, forecasts, backtests in scored_panels(workspace, recipe, lock, key):
        horizons = {one.frequency: one.config.horizon for one in panel.sets("history")}
        nothing = panel.history_of([])
        assessed, of_panel = assess_panel(forecasts, nothing, recipe, backtests=backtests, horizons=horizons)
        shown = panel.history_of(assessed.shown)
        panels.append(replace(assessed, history=shown, facts=panel.counts.lines()))
        verdicts += of_panel
    trained = [(verb, run) for verb in TRAINED for run in getattr(lock, verb)]
    hashes = {entry["name"]: entry["digest"] for entry in datasets(workspace)}
    return Findings(
        confidence=recipe.confidence,
        resamples=recipe.resamples,
        tasks=examine(tasks, evidence, recipe),
        panels=panels,
        headline=[v for v in verdicts if v.scope == ALL],
        details=[v for v in verdicts if v.scope != ALL],
        curves=[c for verb, run in trained for c in read_curves(workspace.input(verb, run), verb, run)],
        pretraining={
            run: read_numbers(workspace.input("pretrain", run) / "metrics.json") for run in lock.pretrain
        },
        corpora=[read_counts(workspace.input("preprocess", run), run) for run in lock.preprocess],
        lineage=read_lineage(workspace.root, trained, hashes),
        contamination=contamination(
            runs,
            evidence,
            lambda corpus: (d.text for d in read_split(workspace.input("preprocess", corpus), "train")),
            recipe,
        ),
        commit=commit(workspace.root),
        lock_digest=workspace.lock_digest,
        fingerprint=workspace.fingerprint,
        scored=examine_answers(answered, evidence, recipe),
    )


def _predicted(workspace: Workspace, lock: "Lock", key: TestSplit) -> list[Predicted]:
    """Every text run's answers to the test split of its task."""
    found: list[Predicted] = []
    for name, recipe in track(sorted(lock.finetune.items()), "test splits", len(lock.finetune), "run"):
        folder, task = workspace.input("finetune", name), recipe.task
        corpus = workspace.input("preprocess", recipe.corpus)
        frame = predict_test(recipe, folder, corpus, key, threads=workspace.machine.threads)
        found.append(predicted(task, frame, read_facts(folder), run=name, title=task.title(recipe.corpus)))
    return found


def predicted(task: Task[Any], frame: pl.DataFrame, facts: TaskFacts, *, run: str, title: str) -> Predicted:
    """A table of answers as it is judged: by counts of labels, or by what the task says of it."""
    if classes := task.classes(frame, facts):
        return Classified.of(frame, run=run, task=title, label_names=classes, headline=task.headline)
    judge = Judge(
        task.headline,
        partial(task.statistics, facts=facts),
        partial(task.words, facts=facts),
        task.misses,
        task.bounds,
        task.lower_is_better,
    )
    return Answered.of(frame, run=run, task=title, judge=judge)


def _evidence(workspace: Workspace, lock: "Lock", key: TestSplit) -> Iterator[tuple[str, Evidence]]:
    """What lies beside test predictions: those on valid, test texts, the pretraining corpus."""
    for name, recipe in sorted(lock.finetune.items()):
        folder = workspace.input("finetune", name)
        examples, unknown = test_examples(recipe, folder, workspace.input("preprocess", recipe.corpus), key)
        yield (
            name,
            Evidence(
                valid=pl.read_parquet(folder / "predictions.parquet"),
                texts={one.id: Text.of(one.parts) for one in examples},
                unknown={one.id: share for one, share in zip(examples, unknown, strict=True)},
                pretrained_on=_pretraining_corpus(lock, recipe.backbone),
            ),
        )


def _pretraining_corpus(lock: "Lock", backbone: str) -> str | None:
    """None where the backbone is a folder from elsewhere."""
    pretrain = lock.pretrain.get(backbone)
    return None if pretrain is None else lock.tokenize[pretrain.tokens].corpus
