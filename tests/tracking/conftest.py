"""Workspaces with an MLflow database that is made once and copied, because making one takes a second."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from seedbed.config import Machine
from seedbed.tracking.client import Store
from seedbed.workspace import Workspace

MakeWorkspace = Callable[..., Workspace]


def make_workspace(
    root: Path,
    *,
    run: str = "tiny",
    verb: str = "pretrain",
    uri: str | None = None,
    inputs: dict[str, Path] | None = None,
) -> Workspace:
    machine = Machine(tracking_uri=uri or "sqlite:///mlflow.db")
    return Workspace(
        root=root,
        verb=verb,
        run=run,
        machine=machine,
        out=root / "models" / verb / run,
        scratch=root / ".scratch" / verb / f"{run}-0123",
        fingerprint="0123",
        lock_digest="abcd",
        flat_recipe={"optimizer.name": "adamw", "max_steps": "10"},
        inputs=inputs or {},
    )


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with Store(f"sqlite:///{path}").session():
        pass
    return path


@pytest.fixture
def workspace(tmp_path: Path, database: Path) -> Workspace:
    shutil.copy(database, tmp_path / "mlflow.db")
    return make_workspace(tmp_path)
