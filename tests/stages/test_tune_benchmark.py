"""A study over a benchmark's learning rate and batch, as conf/tune/benchmark.yaml has it, with real trainings."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from seedbed.config import Machine
from seedbed.stages import compose, tune
from seedbed.tuning import TuneRecipe
from tests.stages.test_finetune import recipe, workspace
from tests.tasks.corpus import write_backbone, write_corpus

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("metric", [pytest.param("valid/accuracy", marks=pytest.mark.slow), "valid/matthews"])
def test_rate_and_batch_are_searched_on_valid_alone(
    tmp_path: Path, metric: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "data/clean/tiny")
    (tmp_path / "data/clean/tiny/test.jsonl").write_text("no trial may open this")
    write_backbone(tmp_path / "models/pretrain/electra")
    (tmp_path / "params.yaml").write_text("finetune: {packages: {recipe: benchmark}}\n")
    task = {"name": "classification", "label": "package", "metric": metric.removeprefix("valid/")}
    base = recipe(
        task=task,
        seeds=[1, 2, 3, 4],
        separate_seeds={"name": "grid", "head": [1, 2], "order": [1, 2]},
        max_steps=4,
        validate_every=2,
    )
    settings = {"num_trials": 4, "metric": metric, "pruning.startup_trials": 2}
    tree = compose.compose_run(ROOT, "tune", "benchmark", {"finetune": "packages"}, settings)
    study = TuneRecipe.parse(tree, "tune.packages")
    place: Any = replace(
        workspace(tmp_path),
        verb="tune",
        run="packages",
        machine=Machine(threads=1, tracking_uri="sqlite:///mlflow.db"),
        out=tmp_path / "reports/tune/packages",
    )
    tune.run(place, study, SimpleNamespace(finetune={"packages": base}))  # type: ignore[arg-type]
    rows = [line.split(",") for line in (place.out / "trials.csv").read_text().splitlines()]
    assert rows[0] == [
        "trial",
        "state",
        metric,
        "validations",
        "global_batch_size",
        "optimizer.learning_rate",
    ]
    told = "valid/matthews is known when a trial has ended"
    assert capsys.readouterr().err.count(told) == (metric == "valid/matthews")
    assert len(rows) == 5 and all(row[1] in ("COMPLETE", "PRUNED") for row in rows[1:])
    assert {row[4] for row in rows[1:]} <= {"16", "32", "64"}
    assert {float(row[5]) for row in rows[1:]} <= {2e-5, 3e-5, 5e-5}
    metrics = json.loads((place.out / "metrics.json").read_text())
    assert metrics[metric] == max(float(row[2]) for row in rows[1:] if row[1] == "COMPLETE")
    best = yaml.safe_load((place.out / "best.yaml").read_text())
    assert best["defaults"] == ["benchmark", "_self_"]
    assert set(best) == {"defaults", "global_batch_size", "optimizer"}
