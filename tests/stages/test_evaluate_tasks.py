"""evaluate on answers that are more than a label: verdicts, slices, errors, contamination as for any other."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed.config import Machine
from seedbed.corpora import TestSplit
from seedbed.evaluation import EvaluateRecipe, tables
from seedbed.evaluation.assess import assess_text
from seedbed.evaluation.classification import Classified
from seedbed.evaluation.examine import contamination, examine, examine_answers
from seedbed.evaluation.findings import Findings
from seedbed.evaluation.report import render
from seedbed.evaluation.scored import Answered
from seedbed.stages import evaluate
from seedbed.tasks import TaskFacts
from seedbed.tasks.multiple_choice import Choice, MultipleChoiceConfig
from seedbed.tasks.prediction import write_facts
from seedbed.tasks.regression import RegressionConfig, ScoredExample
from seedbed.workspace import Workspace, artifact

RECIPE = EvaluateRecipe.parse({"resamples": 200, "finetune": [{"a": "tiny-*", "b": "bert-*"}]}, "evaluate")
NOISE = {"tiny-stsb": 0.3, "bert-stsb": 3.0, "tiny-swag": 0.1, "bert-swag": 0.7}


def answers(run: str) -> pl.DataFrame:
    """Numbers, or one of four choices, worse with noise."""
    rng, made = np.random.default_rng(len(run) + int(10 * NOISE[run])), []
    for seed in (1, 2):
        actual = np.random.default_rng(0).random(60) * 5
        frame = pl.DataFrame({"seed": [seed] * 60, "id": [f"{n:02}" for n in range(60)], "label": actual})
        # what is hard is hard for every seed
        predicted = actual + NOISE[run] * np.random.default_rng(5).normal(0, 1, 60) + rng.normal(0, 0.1, 60)
        if run.endswith("swag"):
            label = (actual.astype(np.int64)).clip(0, 3)
            predicted = np.where(rng.random(60) < NOISE[run], (label + 1) % 4, label)
            sure = [np.where(predicted == c, 0.7, 0.1) for c in range(4)]
            frame = frame.with_columns(label=label).with_columns(
                pl.Series(f"probability_{c}", share) for c, share in enumerate(sure)
            )
        made.append(frame.with_columns(predicted=predicted))
    return pl.concat(made)


def looked_at(recipe: Any, folder: Path, corpus: Path, key: Any) -> Any:
    ids = [f"{n:02}" for n in range(60)]
    texts = [
        f"{n} 번째 문장은 숫자 {n * 7919} 를 품은 다른 문장입니다 그리고 더 깁니다 {f'끝{n} ' * n}"
        for n in range(60)
    ]
    found: list[Any] = [
        ScoredExample(i, t, "a pair", 1.0)
        if isinstance(recipe.task, RegressionConfig)
        else Choice(i, t, ("하나", "둘", "셋", "넷"), 0)
        for i, t in zip(ids, texts, strict=True)
    ]
    return found, [0.0] * 60


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, Any]:
    monkeypatch.setattr(evaluate, "predict_test", lambda recipe, folder, *a, **k: answers(folder.name))
    monkeypatch.setattr(evaluate, "test_examples", looked_at)
    kinds: dict[str, Any] = {
        "stsb": RegressionConfig(name="regression", pair="sentence2", metric="pearson_spearman"),
        "swag": MultipleChoiceConfig(name="multiple_choice", choices=("a", "b", "c", "d")),
    }
    finetune = {}
    for run in NOISE:
        folder = artifact(tmp_path, "finetune", run)
        folder.mkdir(parents=True)
        write_facts(folder, TaskFacts(labels=()))
        answers(run).write_parquet(folder / "predictions.parquet")
        corpus = run.split("-")[1]
        finetune[run] = SimpleNamespace(task=kinds[corpus], corpus=corpus, backbone="tiny")
    lock: Any = SimpleNamespace(
        finetune=finetune,
        pretrain={"tiny": SimpleNamespace(tokens="wp")},
        tokenize={"wp": SimpleNamespace(corpus="docs")},
    )
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
            **{f"finetune/{run}": artifact(tmp_path, "finetune", run) for run in NOISE},
            "preprocess/stsb": tmp_path,
            "preprocess/swag": tmp_path,
        },
    )
    return workspace, lock


def test_every_kind_of_answer_is_judged(project: tuple[Workspace, Any]) -> None:
    workspace, lock = project
    key = TestSplit(opened_by="evaluate")
    runs = evaluate._predicted(workspace, lock, key)
    assert [type(run) for run in runs] == [Answered, Classified, Answered, Classified]
    evidence = dict(evaluate._evidence(workspace, lock, key))
    tasks, scored, verdicts = assess_text(runs, RECIPE)
    told = {v.task: v for v in verdicts}
    assert told["stsb"].words == "tiny-stsb is better than bert-stsb"
    assert told["stsb"].metric == "pearson_spearman" and told["stsb"].more_seeds >= 0
    assert told["swag"].metric == "accuracy" and told["swag"].outcome == "better"
    documents = [evidence["tiny-stsb"].texts["40"].text] * 2
    dirty = contamination(runs, evidence, lambda corpus: documents, RECIPE)
    assert [(c.found.task, len(c.found.dirty_ids), c.metric) for c in dirty] == [
        ("stsb", 1, "pearson_spearman"), ("swag", 1, "accuracy"),
    ]  # fmt: skip
    assert dirty[0].clean["tiny-stsb"].n == 59
    findings = Findings(
        confidence=0.95,
        resamples=200,
        tasks=examine(tasks, evidence, RECIPE),
        panels=[],
        headline=verdicts,
        details=[],
        curves=[],
        pretraining={},
        corpora=[],
        lineage=[],
        contamination=dirty,
        commit="",
        lock_digest="",
        fingerprint="",
        scored=examine_answers(scored, evidence, RECIPE),
    )
    [swag, _] = findings.tasks["swag"]
    assert swag.calibrated is not None and swag.predictions.label_names[3] == "choice 3"
    [worst, best] = findings.scored
    assert best.scores["pearson_spearman"].seeds == 2
    # a tenth of each seed's answers; what both seeds miss is an error
    assert 0 < len(worst.errors) <= 6 and worst.errors[0].text.pair == "a pair"
    assert {s.kind for s in best.slices} == {"length", "script"} and best.slices[
        0
    ].metric == "pearson_spearman"
    rows = tables.finetune_rows(findings, per_class=False)
    assert {"pearson", "spearman", "accuracy"} < {row["metric"] for row in rows}
    leaf = tables.metrics_tree(findings)["finetune"]["tiny-stsb"]["test/pearson"]
    assert leaf["value"] == best.scores["pearson"].value
    page = render(findings)
    assert "tiny-stsb" in page and "mean of Pearson and Spearman" in page and "choice 3" in page
