"""Publishing is all or nothing; a run is one process's; the fingerprint follows recipe and inputs."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from seedbed.config import Machine, UserError
from seedbed.workspace import Workspace, hash_folder, identify, write_atomically


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(
        root=tmp_path,
        verb="pretrain",
        run="a",
        machine=Machine(),
        out=tmp_path / "models/pretrain/a",
        scratch=tmp_path / ".scratch/pretrain/a-0",
        fingerprint="0",
        lock_digest="",
        flat_recipe={},
        inputs={},
    )


def test_publishing_replaces_the_whole_folder(workspace: Workspace) -> None:
    for name in ("old", "new"):
        with workspace.publish() as out:
            (out / name).write_text(name)
    assert [p.name for p in workspace.out.iterdir()] == ["new"]
    assert [p.name for p in workspace.out.parent.iterdir()] == ["a"]


def test_a_fault_while_publishing_keeps_the_old_and_leaves_no_part(workspace: Workspace) -> None:
    with workspace.publish() as out:
        (out / "old").write_text("")
    with pytest.raises(OSError, match="full"), workspace.publish() as out:
        (out / "new").write_text("")
        raise OSError("disk full")
    assert [p.name for p in workspace.out.iterdir()] == ["old"]
    assert [p.name for p in workspace.out.parent.iterdir()] == ["a"]


def test_what_a_killed_publish_left_is_swept_by_the_next(workspace: Workspace) -> None:
    stale = workspace.out.parent / ".a.partial"
    stale.mkdir(parents=True)
    (stale / "half").write_text("")
    with workspace.publish() as out:
        (out / "whole").write_text("")
    assert [p.name for p in workspace.out.iterdir()] == ["whole"]


def test_other_ranks_publish_nothing(workspace: Workspace) -> None:
    other = replace(workspace, rank=1)
    with other.exclusive(), other.publish() as out:
        (out / "weights").write_text("")
    assert not workspace.out.exists() and not list(workspace.scratch.glob("rank*"))


def test_a_second_process_on_the_run_is_refused(workspace: Workspace) -> None:
    with workspace.exclusive():
        code = (
            "import sys; from filelock import FileLock, Timeout\n"
            "try: FileLock(sys.argv[1]).acquire(timeout=0)\n"
            "except Timeout: sys.exit(9)"
        )
        other = subprocess.run([sys.executable, "-c", code, workspace.scratch / "lock"], check=False)
        assert other.returncode == 9
        with (
            pytest.raises(UserError, match="another process is on this run"),
            replace(workspace).exclusive(),
        ):
            pass
    with workspace.exclusive():
        pass


def test_fingerprint_follows_recipe_and_every_input_byte(tmp_path: Path) -> None:
    data = tmp_path / "data/clean/x"
    data.mkdir(parents=True)
    (data / "train.jsonl").write_text("가")

    def fingerprint(recipe: object) -> str:
        return identify(tmp_path, Machine(), "tokenize", "x", recipe, {"preprocess/x": data})[0]

    first = fingerprint({"a": 1})
    assert first == fingerprint({"a": 1}) != fingerprint({"a": 2})
    (data / "train.jsonl").write_text("나")
    assert fingerprint({"a": 1}) != first


def test_a_missing_input_names_the_stage_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"tokenize x: input data/clean/x is missing; .*dvc repro preprocess@x"
    ):
        identify(tmp_path, Machine(), "tokenize", "x", {}, {"preprocess/x": tmp_path / "data/clean/x"})


def test_folder_hash_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = hash_folder(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert hash_folder(tmp_path) != before


def test_atomic_write_leaves_no_partial(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x/y", b"1")
    write_atomically(tmp_path / "x/y", b"2")
    assert (tmp_path / "x/y").read_bytes() == b"2" and len(list((tmp_path / "x").iterdir())) == 1
