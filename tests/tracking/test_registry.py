"""Versions point at DVC outs: once for each content, however often they are sent, with one bearer of an alias."""

from pathlib import Path

from mlflow.tracking import MlflowClient

from seedbed.tracking import open_run
from seedbed.tracking.client import Store
from seedbed.tracking.delivery import deliver
from seedbed.tracking.journal import DELIVERED, journals
from seedbed.workspace import Workspace


def log(workspace: Workspace, digests: dict[str, str], *, best: str) -> None:
    with open_run(workspace) as run:
        for name, digest in digests.items():
            run.log_model_version(
                "topics",
                path=f"models/finetune/{name}",
                digest=digest,
                tags={"run": name, "verdicts": "한국어 is better than b"},
                aliases=["best"] if name == best else [],
            )


def versions(client: MlflowClient) -> list[tuple[str, str]]:
    found = client.search_model_versions("name = 'topics'")
    return sorted((v.tags["dvc.path"], v.tags["dvc.hash"]) for v in found)


def test_a_version_for_each_content_and_an_alias_that_moves(workspace: Workspace) -> None:
    client = MlflowClient(f"sqlite:///{workspace.root}/mlflow.db")
    log(workspace, {"a": "11", "b": "22"}, best="a")
    assert versions(client) == [("models/finetune/a", "11"), ("models/finetune/b", "22")]
    bearer = client.get_model_version_by_alias("topics", "best")
    assert (bearer.source, bearer.tags["run"]) == ("dvc:models/finetune/a", "a")
    assert bearer.tags["verdicts"] == "한국어 is better than b"
    # the experiment's run is the one that judged
    assert client.get_run(bearer.run_id).info.run_name == workspace.run
    log(workspace, {"a": "11", "b": "33"}, best="b")
    assert [row[1] for row in versions(client)] == ["11", "22", "33"]
    assert client.get_model_version_by_alias("topics", "best").tags["dvc.hash"] == "33"


def test_delivering_again_registers_nothing_twice(workspace: Workspace) -> None:
    client = MlflowClient(f"sqlite:///{workspace.root}/mlflow.db")
    log(workspace, {"a": "11"}, best="a")
    (folder,) = journals(Path(workspace.root) / ".scratch")
    (folder / DELIVERED).unlink()
    deliver(folder, Store(f"sqlite:///{workspace.root}/mlflow.db"))
    assert versions(client) == [("models/finetune/a", "11")]
