"""Runs against a real sqlite store: equal numbers, one run through kills, no duplicates, never in the way."""

import json
import math
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from seedbed.config import Interrupted, UserError
from seedbed.tracking import SilentRun, adopting, deliver_all, open_run
from seedbed.tracking.journal import CLOCK_PREFIXES, Delivered, attempts
from seedbed.workspace import Workspace
from tests.tracking.conftest import make_workspace


def client(root: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")


def runs(root: Path, verb: str = "pretrain") -> list[MlflowRun]:
    experiment = client(root).get_experiment_by_name(verb)
    return client(root).search_runs([experiment.experiment_id], order_by=["start_time"]) if experiment else []


def history(root: Path, run_id: str, key: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in client(root).get_metric_history(run_id, key)]


def test_mlflow_holds_exactly_the_numbers_logged(workspace: Workspace) -> None:
    logged = {step: {"valid/loss": 1 / (step + 3), "valid/accuracy": 0.1 * step} for step in range(2500)}
    with open_run(workspace) as run:
        for step, metrics in logged.items():
            run.log_metrics(metrics, step=step)
    [tracked] = runs(workspace.root)
    assert tracked.info.status == "FINISHED" and tracked.info.run_name == "tiny"
    for key in ("valid/loss", "valid/accuracy"):
        assert history(workspace.root, tracked.info.run_id, key) == [(s, m[key]) for s, m in logged.items()]
    assert tracked.data.metrics["valid/loss"] == logged[2499]["valid/loss"]
    assert tracked.data.params == {"optimizer.name": "adamw", "max_steps": "10"}
    tags = tracked.data.tags
    assert (tags["stage"], tags["run"], tags["fingerprint"]) == ("pretrain", "tiny", "0123")
    assert tags["lock_digest"] == "abcd" and tags["commit"].startswith("unknown (")
    assert tags["machine.accelerator"] == "cpu" and "machine.tracking_uri" not in tags
    assert tracked.data.metrics["system/peak_memory_gib"] > 0


def test_values_that_are_not_finite_arrive(workspace: Workspace) -> None:
    with open_run(workspace) as run:
        run.log_metrics({"nan": math.nan, "inf": math.inf}, step=1)
        run.log_metrics({"nan": math.nan}, step=1)
    [tracked] = runs(workspace.root)
    assert len(history(workspace.root, tracked.info.run_id, "nan")) == 1
    assert tracked.data.metrics["inf"] > 1e300


def test_long_params_are_cut_with_a_mark_and_strange_names_are_replaced(workspace: Workspace) -> None:
    with open_run(workspace) as run:
        run.log_params({"long": "ㅎ" * 7000, "a@b": "한글"})
    params = runs(workspace.root)[0].data.params
    assert len(params["long"]) == 6000 and params["long"].endswith("...[cut, 7000 characters]")
    assert params["a_b"] == "한글"


def test_children_hang_below_their_parent(workspace: Workspace) -> None:
    with open_run(workspace) as run:
        for seed in range(2):
            with run.child(f"seed-{seed}") as child:
                child.log_metrics({"valid/accuracy": seed / 2}, step=1)
                with child.child("inner") as inner:
                    inner.log_metrics({"x": 1.0})
    found = {r.info.run_name: r for r in runs(workspace.root)}
    parent = found["tiny"].info.run_id
    assert found["seed-1"].data.tags["mlflow.parentRunId"] == parent
    assert found["seed-1"].data.metrics["valid/accuracy"] == 0.5
    assert found["seed-1"].data.tags["fingerprint"] == "0123" and found["seed-1"].info.status == "FINISHED"
    assert sum(r.info.run_name == "inner" for r in runs(workspace.root)) == 2


def test_dataset_inputs_carry_dvc_hashes_or_content_hashes(workspace: Workspace) -> None:
    for name in ("known", "stale"):
        folder = workspace.root / "data" / "tokens" / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    md5 = "0123456789abcdef0123456789abcdef.dir"
    outs = [
        {"path": "data/tokens/known", "hash": "md5", "md5": md5, "size": 2, "nfiles": 1},
        {"path": "data/tokens/stale", "hash": "md5", "md5": md5, "size": 99, "nfiles": 1},
    ]
    (workspace.root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"t": {"outs": outs}}}))
    inputs = {f"tokenize/{n}": workspace.root / "data" / "tokens" / n for n in ("known", "stale")}
    with open_run(make_workspace(workspace.root, inputs=inputs)):
        pass
    found = {d.dataset.name: d.dataset for d in runs(workspace.root)[0].inputs.dataset_inputs}
    assert found["tokenize/known"].digest == md5
    assert json.loads(found["tokenize/known"].source) == {"uri": "data/tokens/known", "md5": md5}
    assert "sha256" in json.loads(found["tokenize/stale"].source)


def test_artifacts_are_copied_at_once_and_weights_are_refused(workspace: Workspace) -> None:
    staging = workspace.root / "staging"
    staging.mkdir()
    (staging / "plot.csv").write_text("step,value\n")
    (staging / "model.safetensors").write_bytes(b"x")
    with open_run(workspace) as run:
        run.log_artifact(staging / "plot.csv", folder="plots")
        with run.child("seed-0") as child:
            child.log_artifact(staging / "plot.csv")
        with pytest.raises(AssertionError, match="DVC"):
            run.log_artifact(staging / "model.safetensors")
        shutil.rmtree(staging)
    tracked = next(r for r in runs(workspace.root) if r.info.run_name == "tiny")
    assert [f.path for f in client(workspace.root).list_artifacts(tracked.info.run_id, "plots")] == [
        "plots/plot.csv"
    ]
    assert (workspace.root / "mlartifacts" / "pretrain").is_dir()


WORKER = """
    import os, signal, sys
    from pathlib import Path
    from tests.tracking.conftest import make_workspace
    from seedbed.tracking import courier, open_run
    courier.LIBRARY_AFTER_SECONDS, courier.DELIVER_SECONDS = 0.0, 0.05
    import time
    root, first, last, kill = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "kill"
    with open_run(make_workspace(root)) as run:
        with run.child("seed-0") as seed:
            for step in range(first, last):
                seed.log_metrics({"train/loss": 1 / (step + 1), "speed/steps": time.time()}, step=step)
                time.sleep(0.02)
            if kill:
                deadline = time.monotonic() + 20
                while seed.run_id is None and time.monotonic() < deadline:
                    time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGKILL)
"""


def work(root: Path, *arguments: str) -> int:
    repository = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WORKER), str(root), *arguments],
        cwd=repository,
        env={"PYTHONPATH": f"{repository / 'src'}:{repository}", "PATH": "/usr/bin:/bin"},
        timeout=120,
        check=False,
    ).returncode


def test_a_killed_run_goes_on_as_itself(workspace: Workspace) -> None:
    assert work(workspace.root, "0", "80", "kill") == -9
    before = {r.info.run_name: r for r in runs(workspace.root)}
    assert before["seed-0"].info.status == "RUNNING"
    assert work(workspace.root, "40", "120", "end") == 0  # as from a checkpoint at step 40
    after = {r.info.run_name: r for r in runs(workspace.root)}
    assert {name: r.info.run_id for name, r in after.items()} == {
        name: r.info.run_id for name, r in before.items()
    }
    assert {r.info.status for r in after.values()} == {"FINISHED"}
    seed = after["seed-0"].info.run_id
    assert history(workspace.root, seed, "train/loss") == [(s, 1 / (s + 1)) for s in range(120)]
    assert [step for step, _ in history(workspace.root, seed, "speed/steps")] == list(range(120))


def test_a_failed_run_goes_on_and_a_finished_one_begins_anew(workspace: Workspace) -> None:
    with pytest.raises(ZeroDivisionError), open_run(workspace) as run:
        run.log_metrics({"a": 1.0}, step=1)
        raise ZeroDivisionError
    assert [r.info.status for r in runs(workspace.root)] == ["FAILED"]
    with open_run(workspace) as run:
        run.log_metrics({"a": 1.0}, step=1)
        run.log_metrics({"a": 2.0}, step=1)  # the code was mended: the last value is the truth
    [tracked] = runs(workspace.root)
    assert tracked.info.status == "FINISHED" and tracked.data.metrics["a"] == 2.0
    assert history(workspace.root, tracked.info.run_id, "a") == [(1, 1.0), (1, 2.0)]
    with open_run(workspace):
        pass
    assert len(runs(workspace.root)) == 2 and len(attempts(workspace.scratch)) == 2


def test_stopping_is_not_failing(workspace: Workspace) -> None:
    class Pruned(Exception):
        run_status = "KILLED"

    for error in (KeyboardInterrupt, Interrupted, Pruned):
        with pytest.raises(error), open_run(workspace):
            raise error
        assert [r.info.status for r in runs(workspace.root)] == ["KILLED"]


def test_delivering_again_changes_nothing(workspace: Workspace) -> None:
    source = workspace.root / "t.csv"
    source.write_text("x\n")
    with open_run(workspace) as run, run.child("seed-0") as child:
        run.log_artifact(source)
        for step in range(50):
            child.log_metrics({"a": step / 7}, step=step)
    before = [r.to_dictionary() for r in runs(workspace.root)]
    [folder] = attempts(workspace.scratch)
    state = json.loads((folder / "delivered.json").read_text())
    for forgotten in ({**state, "offset": 0}, {**state, "offset": 0, "runs": {}}, None):
        if forgotten is None:
            (folder / "delivered.json").unlink()
        else:
            (folder / "delivered.json").write_text(json.dumps(forgotten))
        assert deliver_all(workspace.root / ".scratch", "sqlite:///mlflow.db", root=workspace.root) == 1
        assert [r.to_dictionary() for r in runs(workspace.root)] == before
    child_id = next(r.info.run_id for r in runs(workspace.root) if r.info.run_name == "seed-0")
    assert history(workspace.root, child_id, "a") == [(s, s / 7) for s in range(50)]


def test_a_deleted_database_is_filled_again_and_deleted_runs_come_back(
    workspace: Workspace, database: Path, tmp_path_factory
) -> None:
    with open_run(workspace) as run:
        run.log_metrics({"a": 1.0}, step=3)
    [first] = runs(workspace.root)
    client(workspace.root).delete_run(first.info.run_id)
    client(workspace.root).delete_experiment(first.info.experiment_id)
    deliver_all(workspace.root / ".scratch", "sqlite:///mlflow.db", root=workspace.root)
    assert [r.info.run_id for r in runs(workspace.root)] == [first.info.run_id]
    other = tmp_path_factory.mktemp("other")
    shutil.copy(database, other / "mlflow.db")
    deliver_all(workspace.root / ".scratch", f"sqlite:///{other / 'mlflow.db'}")
    [again] = runs(other)
    assert history(other, again.info.run_id, "a") == [(3, 1.0)]


def test_an_archived_experiment_is_restored_by_the_next_run(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_run(workspace):
        pass
    client(workspace.root).delete_experiment(runs(workspace.root)[0].info.experiment_id)
    with open_run(make_workspace(workspace.root, run="second")):
        pass
    assert "experiment pretrain was archived; restoring it" in capsys.readouterr().err
    experiment = client(workspace.root).search_experiments(view_type=ViewType.ACTIVE_ONLY)
    assert "pretrain" in {e.name for e in experiment}


def dead_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_dead_server_costs_seconds_and_loses_nothing(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    away = make_workspace(workspace.root, uri=f"http://127.0.0.1:{dead_port()}")
    begun = time.monotonic()
    with open_run(away) as run:
        run.log_metrics({"a": 1.0}, step=1)
        assert run.run_id is None
    assert time.monotonic() - begun < 8
    assert capsys.readouterr().err.count("tracking: the store is away") == 1
    with pytest.raises(UserError, match="0 of 1 journals"):
        deliver_all(workspace.root / ".scratch", away.machine.tracking_uri)
    with open_run(make_workspace(workspace.root, run="next")):  # a later run carries it along
        pass
    found = {r.info.run_name: r for r in runs(workspace.root)}
    assert found["tiny"].data.metrics["a"] == 1.0 and set(found) == {"tiny", "next"}


def test_a_silent_server_costs_seconds(workspace: Workspace) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        begun = time.monotonic()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with open_run(make_workspace(workspace.root, uri=uri)) as run:
            run.log_metrics({"a": 1.0})
        assert time.monotonic() - begun < 10


def test_a_file_that_is_no_database_and_a_folder_in_its_place_stop_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db").mkdir()
    (tmp_path / "text.db").write_text("this is no database, however long the sentence may be" * 100)
    for uri in ("sqlite:///mlflow.db", "sqlite:///text.db", "sqlite:////proc/nowhere/mlflow.db"):
        with open_run(make_workspace(tmp_path, run=uri[-9:-3], uri=uri)) as run:
            run.log_metrics({"a": 1.0})
        assert "tracking: the store is away" in capsys.readouterr().err


def test_a_wrong_address_is_the_users_error(tmp_path: Path) -> None:
    for uri in ("mlruns", "file:///x", "sqlite:mlflow.db", "sqlite://mlflow.db"):
        with pytest.raises(UserError, match="tracking_uri"), open_run(make_workspace(tmp_path, uri=uri)):
            pass


CREATOR = """
    import sys
    from pathlib import Path
    from tests.tracking.conftest import make_workspace
    from seedbed.tracking import open_run
    with open_run(make_workspace(Path(sys.argv[1]), run=sys.argv[2])) as run:
        run.log_metrics({"a": 1.0})
"""


def test_three_processes_create_the_database_at_once(tmp_path: Path) -> None:
    repository = Path(__file__).parents[2]
    environment = {"PYTHONPATH": f"{repository / 'src'}:{repository}", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", textwrap.dedent(CREATOR), str(tmp_path)]
    processes = [
        subprocess.Popen([*command, f"run_{i}"], cwd=repository, env=environment, stderr=subprocess.PIPE)
        for i in range(3)
    ]
    errors = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    assert {r.info.run_name for r in runs(tmp_path)} == {"run_0", "run_1", "run_2"}
    assert not any("away" in text for text in errors)


def test_other_ranks_are_silent(workspace: Workspace) -> None:
    with open_run(replace(workspace, rank=1)) as run, run.child("seed-0") as child:
        assert isinstance(run, SilentRun) and isinstance(child, SilentRun)
        child.log_metrics({"a": 1.0})
    assert not attempts(workspace.scratch)


def test_an_adopted_stage_logs_to_its_trial(workspace: Workspace) -> None:
    inner = make_workspace(workspace.root, run="inner", verb="finetune")
    with (
        open_run(workspace) as study,
        study.child("trial-0") as trial,
        adopting(trial),
        open_run(inner) as run,
        run.child("seed-0") as seed,
    ):
        seed.log_metrics({"valid/accuracy": 0.25}, step=5)
    names = {r.info.run_name: r for r in runs(workspace.root)}
    assert set(names) == {"tiny", "trial-0", "seed-0"}
    assert names["trial-0"].data.params["optimizer.name"] == "adamw" and not runs(workspace.root, "finetune")


def test_a_changed_param_is_told_and_kept_as_a_tag(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_run(workspace) as run:
        run.log_params({"max_steps": 11})
    assert "param max_steps has changed" in capsys.readouterr().err
    [tracked] = runs(workspace.root)
    assert tracked.data.params["max_steps"] == "10" and tracked.data.tags["changed.max_steps"] == "11"


def test_a_lost_state_file_and_clock_prefixes() -> None:
    assert Delivered.load(Path("/nowhere"), "s") == Delivered("s")
    assert all(prefix.endswith("/") for prefix in CLOCK_PREFIXES)
