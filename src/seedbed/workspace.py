"""Where a run reads and writes: artifact folders, scratch, fingerprints, publishing and locks."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from seedbed.config import Machine, UserError

ARTIFACTS: Mapping[str, str] = {
    "fetch": "data/raw",
    "preprocess": "data/clean",
    "tokenize": "data/tokens",
    "pretrain": "models/pretrain",
    "finetune": "models/finetune",
    "forecast": "models/forecast",
    "tune": "tuning",
}


def artifact(root: Path, verb: str, run: str) -> Path:
    """The folder that stage `verb` makes for `run`; `evaluate` makes `reports` as a whole.

    Where a run's name is a path, it leads on from the verb's folder, and an absolute one stands for itself.
    dvc.yaml joins them in the same way, so DVC sees a foreign folder as a dependency.
    """
    if verb == "evaluate":
        return root / "reports"
    return Path(os.path.normpath(root / ARTIFACTS[verb] / run))


def hash_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def hash_json(value: object) -> str:
    """sha256 of the canonical JSON of `value`."""
    return hash_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False).encode())


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_folder(path: Path) -> str:
    """sha256 over the sorted relative names and contents of every file below `path`."""
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return hash_json([[p.relative_to(path).as_posix(), hash_file(p)] for p in files])


def write_json(path: Path, value: object) -> None:
    """Write deterministic, readable JSON."""
    path.write_text(
        json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
        encoding="utf-8",
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` so that a kill leaves the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


@dataclass(frozen=True)
class Workspace:
    """One run of one verb: its folders and identity. Built by `__main__`, handed to the stage."""

    root: Path
    verb: str
    run: str
    machine: Machine
    out: Path
    """The artifact folder; below scratch when the command line overrode the recipe."""
    scratch: Path
    """Resume state of exactly this recipe on exactly these inputs."""
    fingerprint: str
    lock_digest: str
    flat_recipe: Mapping[str, str]
    """The resolved recipe, dotted keys to printed values, for tracking."""
    inputs: Mapping[str, Path]
    """Input artifacts by "verb/run", checked to exist."""
    rank: int = 0
    """Only rank 0 of a multi-process run locks, tracks and publishes."""

    def input(self, verb: str, run: str) -> Path:
        """The folder of an input artifact that this run declared."""
        return self.inputs[f"{verb}/{run}"]

    @contextmanager
    def publish(self) -> Iterator[Path]:
        """A staging folder that becomes `out` in one rename when the block ends well.

        Ranks other than 0 write into a folder that is thrown away.
        """
        staging = self.out.with_name(f".{self.out.name}.partial")
        if self.rank:
            staging = self.scratch / f"rank-{self.rank}.partial"
        remove(staging)
        staging.mkdir(parents=True)
        try:
            yield staging
            if self.rank == 0:
                remove(self.out)
                os.replace(staging, self.out)
        finally:
            remove(staging)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the run's lock; a second process on the same run is refused at once."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        if self.rank:
            yield
            return
        lock = FileLock(self.scratch / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"{self.verb} {self.run}: another process is on this run (lock {self.scratch / 'lock'}); "
                "wait for it or stop it"
            ) from None
        try:
            yield
        finally:
            lock.release()


def remove(path: Path) -> None:
    """Delete a file or folder if it is there."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def identify(
    root: Path, machine: Machine, verb: str, run: str, recipe: object, inputs: Mapping[str, Path]
) -> tuple[str, Path]:
    """The run's fingerprint (recipe and content of every input) and its scratch folder."""
    for name, path in inputs.items():
        if not path.exists() and not path.is_relative_to(root / ARTIFACTS[name.partition("/")[0]]):
            raise UserError(f"{verb} {run}: {path} is missing; give the path of an existing folder")
        if not path.exists():
            stage = name.replace("/", "@")
            raise UserError(
                f"{verb} {run}: input {path.relative_to(root)} is missing; make it with `dvc repro {stage}`"
            )
    contents = {
        name: hash_folder(path) if path.is_dir() else hash_file(path) for name, path in inputs.items()
    }
    fingerprint = hash_json([verb, run, recipe, contents])[:16]
    return fingerprint, (root / machine.scratch / verb / f"{run}-{fingerprint}").resolve()
