"""The fetch stage: manifest, publishing whole or not at all, every conf file valid."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from seedbed.config import Machine, UserError
from seedbed.corpora import FetchRecipe
from seedbed.stages import fetch
from seedbed.workspace import Workspace

CONF = Path(__file__).parents[2] / "conf" / "fetch"


@pytest.fixture
def tracked(track: Callable[[ModuleType], Any]) -> Any:
    return track(fetch)


def workspace(root: Path, run: str, mirror: str | None = None) -> Workspace:
    return Workspace(
        root=root,
        verb="fetch",
        run=run,
        machine=Machine(mirror=mirror),
        out=root / "data" / "raw" / run,
        scratch=root / ".scratch" / run,
        fingerprint="0",
        lock_digest="0",
        flat_recipe={},
        inputs={},
    )


def recipe(**source: object) -> FetchRecipe:
    return FetchRecipe.parse({"source": source}, "fetch.x")


def test_local_folder_with_manifest(tmp_path: Path, tracked: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "가.txt").write_text("한국어\n", encoding="utf-8")
    space, wanted = workspace(tmp_path, "x"), recipe(name="local", path="in")
    assert fetch.inputs(wanted) == []
    fetch.run(space, wanted)
    manifest = json.loads((space.out / "manifest.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256("한국어\n".encode()).hexdigest()
    assert manifest["source"] == "local"
    assert manifest["files"] == [{"path": "가.txt", "bytes": 10, "sha256": digest}]
    assert str(tmp_path) not in (space.out / "manifest.json").read_text(encoding="utf-8")
    assert tracked.metrics == {"files": 1.0, "bytes": 10.0}


def test_a_failed_fetch_leaves_what_was_there(tmp_path: Path, tracked: Any) -> None:
    (tmp_path / "a.txt").write_text("x")
    space = workspace(tmp_path, "x")
    fetch.run(space, recipe(name="local", path="a.txt"))
    with pytest.raises(UserError, match="content changed"):
        fetch.run(space, recipe(name="local", path="a.txt", sha256="0" * 64))
    assert sorted(p.name for p in space.out.parent.iterdir()) == ["x"]
    assert (space.out / "a.txt").read_text() == "x"


def test_nothing_fetched_is_a_fault(tmp_path: Path, tracked: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.txt").write_text("")
    with pytest.raises(UserError, match="fetch x: source local gave no data"):
        fetch.run(workspace(tmp_path, "x"), recipe(name="local", path="in"))
    assert not (tmp_path / "data" / "raw" / "x").exists()


def test_a_read_only_folder(tmp_path: Path, tracked: Any) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(OSError):
        fetch.run(workspace(tmp_path, "x"), recipe(name="local", path="a.txt"))


def test_classics(tmp_path: Path, tracked: Any) -> None:
    space = workspace(tmp_path, "classics")
    fetch.run(space, recipe(name="classics"))
    manifest = json.loads((space.out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["series"]["yearly"] > 200 and [f["path"] for f in manifest["files"]] == ["series.parquet"]


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_conf(path: Path) -> None:
    FetchRecipe.parse(yaml.safe_load(path.read_text(encoding="utf-8")), f"fetch.{path.stem}")
