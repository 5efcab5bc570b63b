"""The notebooks run on artifacts of the shape the stages write, say what is missing, and are stored empty."""

import json
from collections.abc import Sequence
from pathlib import Path

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from seedbed.evaluation import tables

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ESTIMATE = (0.5, 0.4, 0.6, 100, 3, "beta")


def write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=list(columns), orient="row", infer_schema_length=None).write_csv(path)


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Two runs, one panel; the columns are the evaluate stage's own, so the notebooks cannot drift."""
    reports, models = tmp_path / "reports", tmp_path / "models"
    runs = ("electra-주제", "scratch-주제")
    write(
        reports / "tables/finetune.csv",
        tables.FINETUNE,
        [("주제", run, metric, *ESTIMATE) for run in runs for metric in ("accuracy", "macro_f1")],
    )
    verdict = dict.fromkeys(tables.VERDICT, 0.5) | {
        "verb": "finetune",
        "task": "주제",
        "scope": "all",
        "a": runs[0],
        "b": runs[1],
        "metric": "accuracy",
        "outcome": "open",
    }
    write(reports / "tables/verdicts.csv", tables.VERDICT, [tuple(verdict.values())])
    write(reports / "tables/drops.csv", ("corpus", "reason", "documents"), [("docstrings", "too_short", 12)])
    write(
        reports / "plots/curves.csv",
        ("verb", "run", "step", "metric", "value"),
        [("finetune", run, step, "valid/loss", 1 / (1 + step)) for run in runs for step in range(3)],
    )
    write(reports / f"plots/confusion/{runs[0]}.csv", ("actual", "predicted"), [("가", "나"), ("가", "가")])
    write(
        reports / "tables/forecast.csv",
        tables.FORECAST,
        [
            ("classics", forecaster, frequency, metric, *ESTIMATE)
            for forecaster in ("nbeats", "naive2")
            for frequency in ("all", "yearly")
            for metric in ("smape", "mase", "owa")
        ],
    )
    write(
        reports / "tables/series.csv",
        ("unique_id", "frequency", "smape", "mase", "panel", "forecaster"),
        [("nile", "yearly", 10.0, 1.5, "classics", "nbeats")],
    )
    write(
        reports / "plots/forecasts.csv",
        ("panel", "unique_id", "ds", "name", "value"),
        [
            ("classics", "nile", f"19{year}-01-01", name, 1.0)
            for name in ("truth", "nbeats")
            for year in (68, 69)
        ],
    )
    write(models / "forecast/nbeats/curves.csv", ("step", "metric", "value"), [(0, "train/loss", 1.0)])
    pretrained = models / "pretrain/electra"
    pretrained.mkdir(parents=True)
    sizes = {"model_type": "electra", "num_hidden_layers": 2, "hidden_size": 128, "vocab_size": 8192}
    (pretrained / "config.json").write_text(json.dumps(sizes))
    (pretrained / "metrics.json").write_text(json.dumps({"valid/loss": 3.0}))
    return tmp_path


def execute(path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    monkeypatch.setenv("SEEDBED_ROOT", str(root))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(path.parent))
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_draws(path: Path, artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = execute(path, artifacts, monkeypatch)
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_without_artifacts_it_says_what_to_do(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CellExecutionError, match=r"is missing; make the artifacts first: make repro"):
        execute(path, tmp_path, monkeypatch)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None, (
                f"clear the outputs of {path.name}"
            )


def test_both_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["forecasts", "results"]
