"""evaluate: the runs the lock names and no others, the same numbers everywhere, the key in one place."""

import ast
import datetime
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from mlflow.tracking import MlflowClient

from seedbed.config import Machine
from seedbed.data import spool
from seedbed.evaluation import EvaluateRecipe, Pair
from seedbed.evaluation.assess import assess_panel
from seedbed.forecasting import LongConfig
from seedbed.forecasting.backtest import BacktestConfig, backtest, cross_validation
from seedbed.forecasting.baselines import FittedBaseline, NaiveConfig
from seedbed.forecasting.panels import pieces
from seedbed.stages import evaluate, evaluate_panels
from seedbed.tasks import Example, TaskFacts
from seedbed.tasks.prediction import write_facts
from seedbed.tasks.topics import TopicsConfig
from seedbed.workspace import Workspace, artifact, write_json

SOURCE = Path(evaluate.__file__).parents[1]
PANEL = LongConfig.parse(
    {"name": "long", "frequencies": {"yearly": {"step": "1y", "horizon": 4, "seasonality": 1}}}, "panel"
)
RECIPE = EvaluateRecipe.parse(
    {
        "resamples": 200,
        "finetune": [{"a": "electra*", "b": "scratch*"}],
        "forecast": [{"a": "nbeats*", "b": "naive2*"}],
        "beside": ["naive2", "seasonal_naive"],
    },
    "evaluate",
)


def series() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    values = 40 + np.cumsum(rng.normal(1, 1, (6, 30)), axis=1)
    return pl.DataFrame(
        {
            "unique_id": [f"국가-{i}" for i in range(6) for _ in range(30)],
            "ds": [datetime.date(1950 + t, 1, 1) for _ in range(6) for t in range(30)],
            "y": values.ravel(),
            "frequency": ["yearly"] * 180,
        }
    )


def forecast_with(name: str, noise: float) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    test = series().group_by("unique_id", maintain_order=True).tail(4)
    value = test["y"].to_numpy() + rng.normal(0, noise, test.height)
    cutoff = pl.lit(datetime.date(1975, 1, 1)).alias("cutoff")
    return test.select("unique_id", "ds", cutoff, "frequency", pl.Series(name, value))


def predicted(recipe: Any, folder: Path, corpus: Path, key: Any, *, threads: int) -> pl.DataFrame:
    """A stand-in for tasks.predict_test: right as often as the run's file says."""
    assert isinstance(key, evaluate.TestSplit) and key.opened_by == "evaluate"
    assert (corpus / "manifest.json").is_file() and threads == 1
    accuracy = json.loads((folder / "metrics.json").read_text())["valid/accuracy"]
    rng = np.random.default_rng(2)
    rows = []
    for seed in recipe.seeds:
        wrong = rng.random(90) >= accuracy
        rows += [(seed, f"d{i:03d}", i % 3, (i + int(wrong[i])) % 3) for i in range(90)]
    frame = pl.DataFrame(rows, schema=["seed", "id", "label", "predicted"], orient="row")
    sure = [pl.when(pl.col("predicted") == c).then(0.8).otherwise(0.1) for c in range(3)]
    return frame.with_columns(share.alias(f"probability_{c}") for c, share in enumerate(sure))


def text_of(number: int) -> str:
    return (
        f"{number} 번째 예문은 다른 예문과 겹치지 않는 숫자 {number * 7919} 를 품은 한국어 문장입니다. "
        + "끝 " * number
    )


def looked_at(recipe: Any, folder: Path, corpus: Path, key: Any) -> Any:
    """A stand-in for tasks.inspection.test_examples."""
    assert isinstance(key, evaluate.TestSplit)
    return [Example(f"d{i:03d}", text_of(i), None, i % 3) for i in range(90)], [
        0.5 * (i % 2) for i in range(90)
    ]


def make(root: Path) -> tuple[Workspace, Any]:
    """A project after every stage but evaluate, with folders that removed runs left behind."""
    clean = root / "data/clean/docs"
    clean.mkdir(parents=True)
    (clean / "train.jsonl").write_text(json.dumps({"id": "t", "text": text_of(4) * 5, "meta": {}}) + "\n")
    write_json(clean / "manifest.json", {"documents": {"train": 9, "test": 3}, "dropped": {"too short": 2}})
    raw = root / "data/raw/classics"
    raw.mkdir(parents=True)
    series().write_parquet(raw / "series.parquet")
    text = {"electra-topics": 0.9, "scratch-topics": 0.5, "removed-topics": 0.99}
    for name, accuracy in text.items():
        folder = root / "models/finetune" / name
        folder.mkdir(parents=True)
        write_json(folder / "metrics.json", {"valid/accuracy": accuracy})
        write_facts(folder, TaskFacts(labels=("가", "<나>", "다")))
        shares = {"probability_0": [0.6], "probability_1": [0.3], "probability_2": [0.1]}
        row = pl.DataFrame({"seed": [0], "id": ["v0"], "label": [0], "predicted": [0], **shares})
        pl.concat([row, row.with_columns(seed=pl.lit(1, pl.Int64))]).write_parquet(
            folder / "predictions.parquet"
        )
        (folder / "curves.csv").write_text(
            "part,step,metric,value\nseed-0,0,valid/loss,2.5\nseed-0,10,valid/loss,1.5\n"
        )
    for name, noise in {"nbeats-classics": 0.3, "naive2-classics": 2.0, "removed-classics": 0.0}.items():
        folder = root / "models/forecast" / name
        folder.mkdir(parents=True)
        forecast_with(name, noise).write_parquet(folder / "forecasts.parquet")
    pretrain = root / "models/pretrain/electra"
    pretrain.mkdir(parents=True)
    write_json(pretrain / "metrics.json", {"valid/loss": 5.5})
    topics = TopicsConfig(name="topics", num_train=2, num_valid=2, num_test=2)
    finetune = SimpleNamespace(backbone="electra", corpus="docs", task=topics, seeds=(0, 1))
    nbeats, naive2 = (
        SimpleNamespace(source="classics", panel=PANEL, forecaster=SimpleNamespace(name=name))
        for name in ("nbeats", "naive2")
    )
    lock = SimpleNamespace(
        preprocess={"docs": None},
        tokenize={"docs-wp": SimpleNamespace(corpus="docs")},
        pretrain={"electra": SimpleNamespace(tokens="docs-wp")},
        finetune={"electra-topics": finetune, "scratch-topics": finetune},
        forecast={"nbeats-classics": nbeats, "naive2-classics": naive2},
    )
    workspace = Workspace(
        root=root,
        verb="evaluate",
        run="report",
        machine=Machine(threads=1, tracking_uri=f"sqlite:///{root}/mlflow.db"),
        out=root / "reports",
        scratch=root / ".scratch/evaluate/report",
        fingerprint="f" * 16,
        lock_digest="d" * 64,
        flat_recipe={"confidence": "0.95"},
        inputs={f"{v}/{r}": artifact(root, v, r) for v, r in evaluate.inputs(RECIPE, lock)},
    )
    return workspace, lock


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "predict_test", predicted)
        patch.setattr(evaluate, "test_examples", looked_at)
        workspace, lock = make(tmp_path_factory.mktemp("project"))
        evaluate.run(workspace, RECIPE, lock)
        yield workspace, lock


def test_it_writes_what_the_contract_names(done: Any) -> None:
    workspace, _ = done
    assert sorted(p.name for p in workspace.out.iterdir()) == [
        "metrics.json", "plots", "predictions", "report.html", "tables",
    ]  # fmt: skip
    assert sorted(p.stem for p in (workspace.out / "predictions").iterdir()) == [
        "electra-topics", "naive2-classics", "nbeats-classics", "scratch-topics", "seasonal_naive-classics",
    ]  # fmt: skip
    tree = json.loads((workspace.out / "metrics.json").read_text())
    leaf = tree["finetune"]["electra-topics"]["test/accuracy"]
    assert leaf["low"] < leaf["value"] < leaf["high"] and (leaf["n"], leaf["seeds"]) == (90, 2)
    assert tree["forecast"]["naive2-classics"]["test/owa"]["value"] == 1
    assert tree["forecast"]["nbeats-classics"]["test/owa"]["high"] < 1
    assert tree["pretrain"]["electra"]["valid/loss"]["value"] == 5.5
    tables = {p.stem: pl.read_csv(p) for p in (workspace.out / "tables").glob("*.csv")}
    dirty = tables["contamination"].row(0, named=True)
    assert (dirty["corpus"], dirty["task"], dirty["examples"], dirty["dirty"]) == ("docs", "topics", 90, 1)
    assert dirty["unit"] == "characters" and (dirty["clean_n"], dirty["metric"]) == (89, "accuracy")
    wrong = tables["errors"].row(0, named=True)
    assert wrong["text"] == text_of(int(wrong["id"][1:])) and wrong["label"] != wrong["predicted"]
    assert set(tables["text_slices"]["kind"]) == {"length", "unknown pieces"}
    assert tree["finetune"]["electra-topics"]["test/nll"]["value"] > 0
    page = (workspace.out / "report.html").read_text(encoding="utf-8")
    assert "국가-" in page and "&lt;나&gt;" in page and "d" * 64 in page


def test_a_removed_run_that_left_its_folder_does_not_appear(done: Any) -> None:
    workspace, lock = done
    assert not any("removed" in run for _, run in evaluate.inputs(RECIPE, lock))
    for path in workspace.out.rglob("*"):
        assert "removed" not in path.name
        if path.is_file():
            assert b"removed-" not in path.read_bytes(), path


def test_of_a_folder_from_elsewhere_no_pretraining_corpus_is_known(done: Any) -> None:
    _, lock = done
    assert evaluate._pretraining_corpus(lock, "electra") == "docs"
    assert evaluate._pretraining_corpus(lock, "../../checkpoints/bert") is None


def test_a_second_time_gives_the_same_bytes(done: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, lock = done
    before = {p: p.read_bytes() for p in workspace.out.rglob("*") if p.is_file()}
    monkeypatch.setattr(evaluate, "open_run", _silent)
    evaluate.run(workspace, RECIPE, lock)
    assert before == {p: p.read_bytes() for p in workspace.out.rglob("*") if p.is_file()}


def test_a_failure_leaves_the_last_reports_alone(done: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, lock = done
    before = (workspace.out / "report.html").read_bytes()

    def broken(findings: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluate, "render", broken)
    monkeypatch.setattr(evaluate, "open_run", _silent)
    with pytest.raises(OSError, match="No space"):
        evaluate.run(workspace, RECIPE, lock)
    assert (workspace.out / "report.html").read_bytes() == before
    assert not list(workspace.root.glob(".reports*"))


def _silent(workspace: Workspace) -> Any:
    from contextlib import nullcontext

    from seedbed.tracking import SilentRun

    return nullcontext(SilentRun())


def test_the_tracker_has_the_numbers_of_metrics_json(done: Any) -> None:
    workspace, _ = done
    client = MlflowClient(workspace.machine.tracking_uri)
    experiment = client.get_experiment_by_name("evaluate")
    assert experiment is not None
    (tracked,) = client.search_runs([experiment.experiment_id])
    written = evaluate.tables.flatten(json.loads((workspace.out / "metrics.json").read_text()))
    assert len(written) > 100
    ours = {key: value for key, value in tracked.data.metrics.items() if not key.startswith("system/")}
    for name, value in written.items():
        assert math.isclose(ours[evaluate_name(name)], value, rel_tol=1e-12), name


def test_every_run_is_a_registered_version_and_the_better_one_is_the_best(done: Any) -> None:
    workspace, _ = done
    client = MlflowClient(workspace.machine.tracking_uri)
    found = {v.tags["run"]: v for v in client.search_model_versions("name = 'topics'")}
    assert set(found) == {"electra-topics", "scratch-topics"}
    bearer = client.get_model_version_by_alias("topics", "best")
    assert bearer.tags["run"] == "electra-topics" and bearer.source == "dvc:models/finetune/electra-topics"


def evaluate_name(name: str) -> str:
    from seedbed.tracking.run import _name

    return _name(name)


def test_only_this_stage_makes_the_key_to_the_test_split() -> None:
    makers = [
        path.relative_to(SOURCE).as_posix()
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and "TestSplit" in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))
    ]
    assert makers == ["stages/evaluate.py"]


def test_a_source_with_two_horizons_is_two_panels(done: Any) -> None:
    workspace, lock = done
    config = {"name": "long", "frequencies": {"yearly": {"step": "1y", "horizon": 2, "seasonality": 1}}}
    kind = SimpleNamespace(name="nbeats")
    short = SimpleNamespace(source="classics", panel=LongConfig.parse(config, "panel"), forecaster=kind)
    both = SimpleNamespace(**vars(lock))
    both.forecast = {**lock.forecast, "nbeats-classics": short}
    key = evaluate.TestSplit(opened_by="a test")
    found = list(evaluate_panels.scored_panels(workspace, RECIPE, both, key))
    assert [[run.forecaster for run in runs] for _, runs, _ in found] == [
        ["naive2-classics", "seasonal_naive-classics"],
        ["nbeats-classics", "naive2-classics-2", "seasonal_naive-classics-2"],
    ]


def test_a_panel_in_pieces_is_scored_as_one(done: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two series to a piece, rows in files: the same errors, points and rows."""
    workspace, lock = done
    key = evaluate.TestSplit(opened_by="a test")
    [(_, whole, _)] = evaluate_panels.scored_panels(workspace, RECIPE, lock, key)
    assert [one.kind for one in whole] == ["naive2", "nbeats", "seasonal_naive"]
    monkeypatch.setattr(pieces, "PIECE_POINTS", 60)
    monkeypatch.setattr(spool, "ROWS_IN_MEMORY", 10)
    [(panel, parts, _)] = evaluate_panels.scored_panels(workspace, RECIPE, lock, key)
    assert [len(piece.test) for piece in pieces.tested(panel, key)] == [2, 2, 2]
    for one, other in zip(parts, whole, strict=True):
        assert one.forecaster == other.forecaster and one.errors.equals(other.errors)
        for name in ("actual_NH", "forecast_NH", "scale_N"):
            np.testing.assert_array_equal(getattr(one.points, name), getattr(other.points, name))
        assert isinstance(one.joined, pl.LazyFrame) and isinstance(other.joined, pl.DataFrame)
        assert one.joined.collect().equals(other.joined)
        assert one.rows("국가-3").equals(other.rows("국가-3")) and one.rows("국가-3").height == 4


def test_a_run_with_a_backtest_is_tested_within_each_series(done: Any, tmp_path: Path) -> None:
    """Against the baseline beside it on the same origins; Naive2, a run without a backtest, is left out."""
    workspace, lock = done
    folder = workspace.input("forecast", "nbeats-classics")
    plan = BacktestConfig(windows=6, step=2)
    fitted = FittedBaseline(NaiveConfig(name="naive"))
    [history] = PANEL.load(workspace.input("fetch", "classics")).sets("history")
    table = cross_validation(backtest(history, plan, fit=lambda *_: fitted), column="nbeats-classics")
    path = folder / "cross_validation.parquet"
    table.with_columns(pl.col("y").alias("nbeats-classics") + 0.1).write_parquet(path)
    runs = {name: SimpleNamespace(**vars(one), backtest=plan) for name, one in lock.forecast.items()}
    try:
        key = evaluate.TestSplit(opened_by="a test")
        asked = RECIPE.model_copy(update={"forecast": (Pair(a="nbeats*", b="*naive*"),)})
        [(panel, found, backtests)] = evaluate_panels.scored_panels(
            workspace, asked, SimpleNamespace(**vars(lock) | {"forecast": runs}), key
        )
    finally:
        path.unlink()
    assert set(backtests) == {"nbeats-classics", "seasonal_naive-classics"}
    nothing = panel.history_of([])
    result, _ = assess_panel(found, nothing, asked, backtests=backtests, horizons={"yearly": 4})
    [tests] = result.by_series
    assert tests.height == 6 and set(tests["n"]) == {6} and set(tests["overlap"]) == {2}
    assert (tests["statistic"].drop_nans() < 0).all() and {one.correction for one in result.shares} == {
        "none", "holm", "bh"
    }  # fmt: skip


def test_columns_that_are_scored() -> None:
    keys = ["unique_id", "ds", "cutoff", "frequency"]
    assert evaluate_panels.forecasters([*keys, "nbeats", "member-0"], "nbeats") == ["nbeats"]
    assert evaluate_panels.forecasters([*keys, "forecast"], "nbeats") == ["forecast"]
    assert evaluate_panels.forecasters([*keys, "ets", "ets-lo-80", "ets-hi-80", "lo-9"], "x") == [
        "ets",
        "lo-9",
    ]


def test_the_baselines_stand_beside_every_panel(done: Any) -> None:
    """Naive2 comes from a run, the seasonal naive from none: it is made here, from the history alone."""
    workspace, _ = done
    found = pl.read_parquet(workspace.out / "predictions/seasonal_naive-classics.parquet")
    last = series().group_by("unique_id", maintain_order=True).agg(pl.col("y").get(25))
    expected = dict(last.iter_rows())
    assert all(row["forecast"] == expected[row["unique_id"]] for row in found.iter_rows(named=True))
    won = pl.read_parquet(workspace.out / "tables/wins.parquet")
    assert won.filter(pl.col("metric") == "smape")["winner"].to_list().count("nbeats-classics") >= 5
    ranks = pl.read_csv(workspace.out / "tables/ranks.csv").filter(pl.col("metric") == "mase")
    assert ranks.filter(pl.col("frequency") == "all").sort("value")["forecaster"][0] == "nbeats-classics"
    tests = pl.read_csv(workspace.out / "tables/diebold_mariano.csv")
    assert tests.height == 6 and (tests["statistic"] < 0).all() and tests["n"].unique().to_list() == [6]
