"""Where a run comes from, as tags and dataset inputs: commit, configuration digest, input hashes, machine."""

import json
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from seedbed.config import Machine, UserError, load_yaml
from seedbed.workspace import Workspace, hash_file, hash_folder

GENERATED = ("dvc.lock", "params.lock.yaml")
"""Tracked files that `dvc repro` itself rewrites; they do not make a commit dirty (the lock digest tells)."""


def commit(root: Path) -> str:
    """The checked-out commit, `<hash>-dirty` with uncommitted changes to tracked files."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        excluded = [f":(exclude){name}" for name in GENERATED]
        changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)
    except FileNotFoundError:
        return "unknown (git is not installed)"
    except subprocess.TimeoutExpired:
        return "unknown (git did not answer)"
    except subprocess.CalledProcessError:
        return "unknown (not a git repository, or no commit yet)"
    return head + ("-dirty" if changes else "")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, check=True, capture_output=True, text=True, timeout=10
    )
    return done.stdout.strip()


def tags(workspace: Workspace) -> dict[str, str]:
    """The tags of one run."""
    revision = commit(workspace.root)
    found = {
        "stage": workspace.verb,
        "run": workspace.run,
        "fingerprint": workspace.fingerprint,
        "commit": revision,
        "lock_digest": workspace.lock_digest or "none",
        **machine_tags(workspace.machine),
    }
    if not revision.startswith("unknown"):
        found["mlflow.source.git.commit"] = revision.removesuffix("-dirty")
    return found


def machine_tags(machine: Machine) -> dict[str, str]:
    """What changes only the clock. Tags, not params: a resumed run may sit on another machine."""
    facts = machine.model_dump(exclude={"tracking_uri"})
    if machine.mirror:
        facts["mirror"] = re.sub(r"//[^/@]*@", "//", machine.mirror)
    facts |= {
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    for package in ("seedbed", "torch", "pytorch-lightning"):
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            facts[package] = "not installed"
    return {f"machine.{key}": str(value) for key, value in sorted(facts.items())}


def datasets(workspace: Workspace) -> list[dict[str, str]]:
    """Every input artifact with the hash DVC knows it by, else the hash of its content."""
    recorded = _dvc_outs(workspace.root)
    return [_dataset(workspace.root, name, path, recorded) for name, path in sorted(workspace.inputs.items())]


def _dataset(root: Path, name: str, path: Path, recorded: dict[str, dict[str, object]]) -> dict[str, str]:
    place = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    out = recorded.get(place)
    # dvc.lock may be older than the folder (a stage run by hand): compare sizes before believing it.
    if out is not None and out.get("size") == _size(path):
        kind, value = "md5", str(out["md5"])
    else:
        kind, value = "sha256", hash_folder(path) if path.is_dir() else hash_file(path)
    source = json.dumps({"uri": place, kind: value})
    return {"name": name, "digest": value[:36], "source": source, "source_type": "dvc"}


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _dvc_outs(root: Path) -> dict[str, dict[str, object]]:
    """The outs that dvc.lock records, by path."""
    path = root / "dvc.lock"
    if not path.is_file():
        return {}
    try:
        lock = load_yaml(path)
    except UserError:
        return {}  # half-merged; the content hash serves as well
    stages = lock.get("stages", {}) if isinstance(lock, dict) else {}
    return {
        str(out["path"]): out for stage in stages.values() for out in stage.get("outs", []) if "md5" in out
    }
