"""The study with a stand-in for fine-tuning: deterministic, resumable, pruned, blind to the test split."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from mlflow.tracking import MlflowClient

from seedbed.config import Machine, Strict, UserError
from seedbed.corpora import Document, TestSplit, read_split
from seedbed.corpora.base import encode_document
from seedbed.stages import finetune, tune
from seedbed.tracking import open_run
from seedbed.tracking.journal import journals
from seedbed.tuning import TuneRecipe
from seedbed.workspace import Workspace, write_json

OnValid = Callable[[int, Mapping[str, float]], None]


class Optimizer(Strict):
    learning_rate: float


class Base(Strict):
    """A stand-in for a fine-tuning recipe."""

    optimizer: Optimizer
    global_batch_size: int
    seeds: tuple[int, ...]


BASE = Base(optimizer=Optimizer(learning_rate=1e-3), global_batch_size=32, seeds=(0, 1, 2))
LOCK: Any = SimpleNamespace(finetune={"electra_tiny-topics": BASE})
STUDY = TuneRecipe.parse(
    {
        "finetune": "electra_tiny-topics",
        "search_space": {
            "optimizer.learning_rate": "tag(log, interval(1e-4, 1e-1))",
            "global_batch_size": "choice(16, 32, 64)",
        },
        "overrides": {"seeds": [0]},
        "num_trials": 8,
        "seed": 1,
        "direction": "maximize",
        "pruning": {"startup_trials": 2},
    },
    "tune.s",
)


def quality(recipe: Base) -> float:
    """Best at a learning rate of 3e-3 and batches of 64."""
    return 0.9 - 0.2 * abs(math.log10(recipe.optimizer.learning_rate / 3e-3)) + recipe.global_batch_size / 1e4


def stage(workspace: Workspace, recipe: Base, *, on_valid: OnValid | None = None) -> None:
    assert recipe.seeds == (0,) and workspace.verb == "finetune"
    with open_run(workspace) as run, workspace.publish() as out:
        for step in (10, 20, 30):
            value = quality(recipe) * (step / 30)
            run.log_metrics({"valid/accuracy": value}, step=step)
            if on_valid:
                on_valid(step, {"valid/accuracy": value})
        write_json(out / "metrics.json", {"valid/accuracy": quality(recipe)})


def study_with(stand_in: Callable[..., None], workspace: Workspace, recipe: TuneRecipe) -> None:
    """Run the study with another stage function in the place of fine-tuning."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetune, "run", stand_in)
        tune.run(workspace, recipe, LOCK)


def make(root: Path) -> Workspace:
    corpus = root / "data" / "clean" / "docstrings"
    corpus.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid", "test"):
        (corpus / f"{split}.jsonl").write_bytes(encode_document(Document(split, "text")))
    (root / "params.yaml").write_text("finetune: {electra_tiny-topics: {recipe: topics, backbone: e}}\n")
    scratch = root / ".scratch" / "tune" / "s-0123"
    scratch.mkdir(parents=True, exist_ok=True)
    return Workspace(
        root=root, verb="tune", run="s", machine=Machine(tracking_uri="sqlite:///mlflow.db"),
        out=root / "reports" / "tune" / "s", scratch=scratch, fingerprint="0123", lock_digest="d",
        flat_recipe={"num_trials": "8"}, inputs={"preprocess/docstrings": corpus},
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = make(tmp_path_factory.mktemp("undisturbed"))
    study_with(stage, workspace, STUDY)
    return workspace


def test_the_study_finds_a_good_place_and_says_where(undisturbed: Workspace) -> None:
    best = yaml.safe_load((undisturbed.out / "best.yaml").read_text())
    assert best["defaults"] == ["topics", "_self_"]
    rows = [line.split(",") for line in (undisturbed.out / "trials.csv").read_text().splitlines()]
    assert rows[0] == ["trial", "state", "valid/accuracy", "validations", "global_batch_size",
                       "optimizer.learning_rate"]  # fmt: skip
    assert len(rows) == 9 and {row[1] for row in rows[1:]} == {"COMPLETE", "PRUNED"}
    metrics = json.loads((undisturbed.out / "metrics.json").read_text())
    finished = {int(row[0]): float(row[2]) for row in rows[1:] if row[1] == "COMPLETE"}
    assert metrics["valid/accuracy"] == max(finished.values()) == finished[int(metrics["best_trial"])]
    assert metrics["trials/completed"] + metrics["trials/pruned"] == 8 and metrics["trials/failed"] == 0
    chosen = Base(
        optimizer=Optimizer(**best["optimizer"]), global_batch_size=best["global_batch_size"], seeds=(0,)
    )
    assert quality(chosen) == metrics["valid/accuracy"]
    assert not list((undisturbed.scratch / "trials").iterdir())


def test_the_file_found_composes(undisturbed: Workspace, tmp_path: Path) -> None:
    from hydra import compose, initialize_config_dir

    conf = tmp_path / "conf" / "finetune"
    conf.mkdir(parents=True)
    (conf / "topics.yaml").write_text(yaml.safe_dump(BASE.model_dump(mode="json")))
    shutil.copy(undisturbed.out / "best.yaml", conf / "topics_tuned.yaml")
    with initialize_config_dir(str(conf.parent), version_base="1.3"):
        composed = compose("finetune/topics_tuned")["finetune"]
    best = yaml.safe_load((undisturbed.out / "best.yaml").read_text())
    assert composed.optimizer.learning_rate == best["optimizer"]["learning_rate"]
    assert list(composed.seeds) == [0, 1, 2]


def test_trials_are_child_runs_with_their_curves(undisturbed: Workspace) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{undisturbed.root / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tune")
    assert experiment is not None and client.get_experiment_by_name("finetune") is None
    found = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(found) == {"s", *(f"trial-{n}" for n in range(8))}
    metrics = json.loads((undisturbed.out / "metrics.json").read_text())
    assert {key: found["s"].data.metrics[key] for key in metrics} == metrics
    rows = [line.split(",") for line in (undisturbed.out / "trials.csv").read_text().splitlines()][1:]
    for number, state, value, validations, batch, rate in rows:
        trial = found[f"trial-{number}"]
        assert trial.data.tags["mlflow.parentRunId"] == found["s"].info.run_id
        assert trial.data.params["global_batch_size"] == batch
        assert float(trial.data.params["optimizer.learning_rate"]) == float(rate)
        assert trial.info.status == ("FINISHED" if state == "COMPLETE" else "KILLED")
        history = client.get_metric_history(trial.info.run_id, "valid/accuracy")
        assert len([m for m in history if m.step > 0]) == int(validations)
        if state == "COMPLETE":
            assert trial.data.metrics["valid/accuracy"] == float(value)
    assert len(journals(undisturbed.root / ".scratch")) == 1


WORKER = """
    import sys
    from pathlib import Path
    import tests.stages.test_tune as t
    t.study_with(t.killer(int(sys.argv[2]), int(sys.argv[3])), t.make(Path(sys.argv[1])), t.STUDY)
"""


def sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    raise KeyboardInterrupt


def killer(trial: int, step: int, kill: Callable[[], None] = sigkill) -> Callable[..., None]:
    """The stage, killed before it tells its validation at `step`."""

    def killed(workspace: Workspace, recipe: Base, *, on_valid: OnValid) -> None:
        mine = workspace.run.endswith(f"-trial_{trial}")

        def watch(at: int, metrics: Mapping[str, float]) -> None:
            if mine and at == step:
                kill()
            on_valid(at, metrics)

        stage(workspace, recipe, on_valid=watch)

    return killed


def test_a_killed_study_ends_like_an_undisturbed_one(undisturbed: Workspace, tmp_path: Path) -> None:
    repository = Path(__file__).parents[2]
    environment = {"PYTHONPATH": f"{repository / 'src'}:{repository}", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WORKER), str(tmp_path), "1", "20"],
        cwd=repository, env=environment, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(KeyboardInterrupt):
        study_with(killer(3, 10, interrupt), make(tmp_path), STUDY)
    workspace = make(tmp_path)
    with (workspace.scratch / "study.journal").open("ab") as file:
        file.write(b'{"op_code":4,"wor')  # a line torn by the kill
    (workspace.scratch / "study.journal.lock").symlink_to("study.journal")
    study_with(stage, workspace, STUDY)
    for name in ("best.yaml", "trials.csv", "metrics.json"):
        assert (workspace.out / name).read_bytes() == (undisturbed.out / name).read_bytes()


def test_a_trial_cannot_open_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Workspace
) -> None:
    workspace = make(tmp_path)
    shutil.copy(undisturbed.root / "mlflow.db", tmp_path / "mlflow.db")
    opened: list[str] = []
    genuine = Path.open

    def watch(self: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(self.name)
        return genuine(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", watch)

    def curious(workspace: Workspace, recipe: Base, *, on_valid: OnValid) -> None:
        opened.clear()  # the study itself hashes its inputs, as bytes
        folder = workspace.input("preprocess", "docstrings")
        assert [d.id for d in read_split(folder, "valid")] == ["valid"]
        with pytest.raises(UserError, match="the test split is opened by"):
            read_split(folder, "test")
        with pytest.raises(UserError, match="no such file"):  # not even with a key
            read_split(folder, "test", TestSplit("a curious trial"))
        assert not list(folder.glob("test*"))
        stage(workspace, recipe, on_valid=on_valid)
        assert "valid.jsonl" in opened and "test.jsonl" not in opened

    study_with(curious, workspace, STUDY.model_copy(update={"num_trials": 2}))
    assert json.loads((workspace.out / "metrics.json").read_text())["trials/completed"] == 2


def test_a_failing_setting_ends_its_trial_and_all_failing_end_the_study(
    tmp_path: Path, undisturbed: Workspace
) -> None:
    workspace = make(tmp_path)
    shutil.copy(undisturbed.root / "mlflow.db", tmp_path / "mlflow.db")

    def fragile(workspace: Workspace, recipe: Base, *, on_valid: OnValid) -> None:
        if recipe.global_batch_size != 16:
            raise UserError("the loss is nan at step 3")
        stage(workspace, recipe, on_valid=on_valid)

    study_with(fragile, workspace, STUDY)
    metrics = json.loads((workspace.out / "metrics.json").read_text())
    assert metrics["trials/failed"] > 0 and metrics["trials/completed"] > 0

    def hopeless(workspace: Workspace, recipe: Base, *, on_valid: OnValid) -> None:
        raise UserError("the corpus is empty")

    shutil.rmtree(workspace.scratch)
    with pytest.raises(UserError, match=r"no trial came to its end.*the corpus is empty"):
        study_with(hopeless, make(tmp_path), STUDY.model_copy(update={"num_trials": 2}))


def test_a_metric_that_is_not_there_stops_the_study_at_once(tmp_path: Path, undisturbed: Workspace) -> None:
    shutil.copy(undisturbed.root / "mlflow.db", tmp_path / "mlflow.db")
    study = STUDY.model_copy(update={"metric": "valid/acuracy"})
    with pytest.raises(UserError, match=r"valid/acuracy.*valid/accuracy"):
        study_with(stage, make(tmp_path), study)


def test_an_unknown_setting_is_told_before_any_trial(tmp_path: Path, undisturbed: Workspace) -> None:
    shutil.copy(undisturbed.root / "mlflow.db", tmp_path / "mlflow.db")
    study = STUDY.model_copy(update={"search_space": {"optimizer.rate": "interval(0, 1)"}})
    with pytest.raises(UserError, match=r"optimizer\.rate: unknown key"):
        study_with(stage, make(tmp_path), study)
