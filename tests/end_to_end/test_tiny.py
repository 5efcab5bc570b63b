"""The whole pipeline on a tiny table of contents, through `dvc repro`, as a user runs it."""

import json
import os
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest

from tests.end_to_end.project import BINARIES, make_project, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the tiny params.yaml, after one `dvc repro`."""
    root = make_project(tmp_path_factory.mktemp("project"))
    run(root, "dvc", "repro")
    return root


def test_the_backbones_load_in_transformers(project: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    for name in ("electra_tiny", "roberta_tiny"):
        folder = project / "models/pretrain" / name
        ids = AutoTokenizer.from_pretrained(folder)("def f(x): 한국어 문서 😀", return_tensors="pt")
        model, facts = AutoModel.from_pretrained(folder, output_loading_info=True)
        assert not [key for key in facts["missing_keys"] if "pooler" not in key]
        assert model(**ids).last_hidden_state.isfinite().all()


def test_a_second_repro_does_nothing(project: Path) -> None:
    output = run(project, "dvc", "repro")
    assert "Running stage" not in output and "up to date" in output


def test_every_run_is_in_the_report_with_interval_and_count(project: Path) -> None:
    metrics = json.loads((project / "reports/metrics.json").read_text())
    assert set(metrics["finetune"]) == {
        "electra_tiny-topics",
        "scratch-topics",
        "tfidf-topics",
        "roberta_tiny-pairs",
    }
    made = {"nbeats_interpretable-classics", "naive2-classics"}
    beside = {"naive-classics", "seasonal_naive-classics"}
    assert set(metrics["forecast"]) == made | beside, "baselines stand beside"
    for runs in (metrics["finetune"], metrics["forecast"]):
        for scores in runs.values():
            for name, estimate in scores.items():
                if name.startswith("test/monthly/"):  # three series are too few for an interval
                    assert estimate["n"] == 3 and "low" not in estimate, name
                    continue
                assert estimate["low"] <= estimate["value"] <= estimate["high"] and estimate["n"] > 0, name
    page = (project / "reports/report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "http://" not in page.replace("http://www.w3.org", "")


def test_mlflow_holds_the_numbers_of_metrics_json(project: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("pretrain")
    assert experiment is not None
    runs = {r.info.run_name: r for r in client.search_runs([experiment.experiment_id])}
    for name in ("electra_tiny", "roberta_tiny"):
        expected = json.loads((project / f"models/pretrain/{name}/metrics.json").read_text())
        found = runs[name].data.metrics
        assert expected and {key: found[key] for key in expected} == expected
        assert runs[name].info.status == "FINISHED"


def test_forecasts_are_long_format_and_finite(project: Path) -> None:
    frame = pl.read_parquet(project / "models/forecast/nbeats_interpretable-classics/forecasts.parquet")
    assert {"unique_id", "ds", "cutoff"} <= set(frame.columns)
    assert frame["nbeats_interpretable-classics"].is_finite().all()
    assert (frame["ds"] > frame["cutoff"]).all()


def rerun_stages(project: Path) -> set[str]:
    output = run(project, "dvc", "repro", "--dry")
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


def test_only_what_depends_on_a_change_reruns(project: Path) -> None:
    params = project / "params.yaml"
    original = params.read_text()
    params.write_text(
        original.replace("roberta_tiny-pairs: {max_steps: 10", "roberta_tiny-pairs: {max_steps: 11")
    )
    run(project, "dvc", "repro", "compose")
    assert rerun_stages(project) == {"finetune@roberta_tiny-pairs", "evaluate"}
    params.write_text(original)
    run(project, "dvc", "repro", "compose")
    recipe = project / "conf/pretrain/roberta_tiny.yaml"
    recipe.write_text(recipe.read_text() + "# a comment\n")
    run(project, "dvc", "repro", "compose")
    assert rerun_stages(project) == set()


def test_single_item_repro_with_a_stale_lock_is_refused(project: Path) -> None:
    params = project / "params.yaml"
    original = params.read_text()
    params.write_text(original.replace("num_trials: 2", "num_trials: 3"))
    assert "stale" in run(project, "seedbed", "evaluate", code=2)
    params.write_text(original)


def test_a_removed_run_leaves_the_report(project: Path) -> None:
    params = project / "params.yaml"
    original = params.read_text()
    lines = [line for line in original.splitlines() if "tfidf-topics" not in line]
    params.write_text("\n".join(lines))
    run(project, "dvc", "repro")
    assert (project / "models/finetune/tfidf-topics").is_dir()
    metrics = json.loads((project / "reports/metrics.json").read_text())
    assert "tfidf-topics" not in metrics["finetune"]
    params.write_text(original)
    run(project, "dvc", "repro")


def test_overrides_go_to_scratch_and_a_kill_resumes_to_the_same_bytes(project: Path) -> None:
    """`seedbed pretrain ... key=value`, killed -9 in the middle, continues to the bits of an undisturbed run."""
    arguments = ["pretrain", "electra_tiny", "max_steps=40", "seed=3"]
    before = sorted((project / "models/pretrain/electra_tiny").iterdir())
    eager = project / "eager.yaml"
    eager.write_text("threads: 1\ncheckpoint_minutes: 0.000001\nscratch: .scratch-a\n")
    run(project, "seedbed", *arguments, SEEDBED_MACHINE=str(eager))
    eager.write_text("threads: 1\ncheckpoint_minutes: 0.000001\nscratch: .scratch-b\n")
    program = [str(BINARIES / "seedbed"), *arguments]
    killed = subprocess.Popen(program, cwd=project, env={**os.environ, "SEEDBED_MACHINE": str(eager)})
    deadline = time.monotonic() + 120
    while not any(
        path.name > "step-000000005" for path in project.glob(".scratch-b/pretrain/*/checkpoints/step-*")
    ):
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    run(project, "seedbed", *arguments, SEEDBED_MACHINE=str(eager))
    one, other = (next(project.glob(f".scratch-{x}/pretrain/*/out/model.safetensors")) for x in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert sorted((project / "models/pretrain/electra_tiny").iterdir()) == before


def test_the_plan_stands_beside_what_happened(project: Path) -> None:
    output = run(project, "seedbed", "plan", "electra_tiny", "probe.seconds=1")
    assert "tokens/s [" in output and "what happened  12 of 12 steps" in output


def test_tune_writes_a_conf_file_and_opens_no_test_split(project: Path) -> None:
    run(project, "seedbed", "tune", "electra_tiny-topics")
    best = (project / "tuning/electra_tiny-topics/best.yaml").read_text()
    assert "learning_rate" in best
