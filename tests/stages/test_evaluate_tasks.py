"""evaluate on answers that are more than a label: their scores stand in the tables and the report."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed.config import Machine
from seedbed.corpora import TestSplit
from seedbed.evaluation import EvaluateRecipe, tables
from seedbed.evaluation.findings import Findings
from seedbed.evaluation.report import render
from seedbed.stages import evaluate
from seedbed.tasks import TaskFacts
from seedbed.tasks.prediction import write_facts
from seedbed.tasks.regression import RegressionConfig
from seedbed.tasks.topics import TopicsConfig
from seedbed.workspace import Workspace, artifact


def test_a_regression_has_its_correlations_with_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    actual = rng.random(60) * 5
    frame = pl.concat(
        pl.DataFrame(
            {
                "seed": [seed] * 60,
                "id": [f"{n:02}" for n in range(60)],
                "label": actual,
                "predicted": actual + rng.normal(0, 1, 60),
            }
        )
        for seed in (1, 2)
    )
    monkeypatch.setattr(evaluate, "predict_test", lambda *a, **k: frame)
    task = RegressionConfig(name="regression", pair="sentence2")
    topics = TopicsConfig(name="topics", num_train=2, num_valid=2, num_test=2)
    lock: Any = SimpleNamespace(
        finetune={
            "tiny-stsb": SimpleNamespace(task=task, corpus="stsb"),
            "tiny-topics": SimpleNamespace(task=topics, corpus="docs"),
        }
    )
    folder = artifact(tmp_path, "finetune", "tiny-stsb")
    folder.mkdir(parents=True)
    write_facts(folder, TaskFacts(labels=()))
    workspace = Workspace(
        root=tmp_path,
        verb="evaluate",
        run="report",
        machine=Machine(threads=1),
        out=tmp_path / "reports",
        scratch=tmp_path / "scratch",
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={},
        inputs={
            "finetune/tiny-stsb": folder,
            "preprocess/stsb": tmp_path,
        },
    )
    assert list(evaluate._labelling(lock)) == ["tiny-topics"]
    [found] = evaluate._scored(
        workspace, EvaluateRecipe(resamples=200), lock, TestSplit(opened_by="evaluate")
    )
    assert (found.run, found.task, found.n) == ("tiny-stsb", "stsb", 60)
    estimate = found.scores["pearson"]
    assert 0.5 < estimate.low < estimate.value < estimate.high <= 1 and estimate.seeds == 2
    findings = Findings(
        confidence=0.95,
        resamples=200,
        tasks={},
        panels=[],
        headline=[],
        details=[],
        curves=[],
        pretraining={},
        corpora=[],
        lineage=[],
        contamination=[],
        commit="",
        lock_digest="",
        fingerprint="",
        scored=[found],
    )
    rows = tables.finetune_rows(findings, per_class=False)
    assert {row["metric"] for row in rows} == {"pearson", "spearman"}
    assert tables.metrics_tree(findings)["finetune"]["tiny-stsb"]["test/pearson"]["value"] == estimate.value
    assert "tiny-stsb" in render(findings)
