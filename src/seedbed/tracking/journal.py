"""An append-only journal of everything a run wants tracked; it is written before any tracker is asked.

One folder per attempt, `<scratch>/tracking/attempt-001/`: `journal.jsonl` (one event per line), `artifacts/`
(copies, because staging folders vanish) and `delivered.json` (how far the tracker has it). A killed run goes
on in its last attempt; a run that had finished and is made again begins the next one.
"""

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedbed.workspace import hash_file, remove, write_atomically

FOLDER = "tracking"
JOURNAL = "journal.jsonl"
DELIVERED = "delivered.json"
ARTIFACTS = "artifacts"
CLOCK_PREFIXES = ("speed/", "system/", "time/")
"""Metrics that differ when a step is repeated after a kill; the first measurement stands."""

Event = dict[str, Any]


def now() -> int:
    """Wall-clock milliseconds, MLflow's unit."""
    return time.time_ns() // 1_000_000


def attempts(scratch: Path) -> list[Path]:
    """The attempts of one run, oldest first."""
    return sorted((scratch / FOLDER).glob("attempt-*"))


def journals(scratch_root: Path) -> list[Path]:
    """Every attempt folder below a scratch root (studies keep their trials deeper)."""
    return sorted(path.parent for path in scratch_root.glob(f"**/{FOLDER}/attempt-*/{JOURNAL}"))


def events(folder: Path, offset: int = 0) -> Iterator[tuple[Event, int]]:
    """Complete events from byte `offset` on, each with the offset behind it; a torn last line is left out.

    A damaged line inside the file is told and passed over: the lines behind it are still worth having.
    """
    with (folder / JOURNAL).open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                event = json.loads(line)
            except ValueError:
                print(f"tracking: damaged line before byte {offset} of {folder / JOURNAL}", file=sys.stderr)
                continue
            yield event, offset


@dataclass
class Known:
    """What a journal already holds, so that a resumed run repeats nothing."""

    runs: set[str] = field(default_factory=set)
    metrics: dict[tuple[str, str, int], str] = field(default_factory=dict)
    params: dict[tuple[str, str], str] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    datasets: set[tuple[str, str]] = field(default_factory=set)
    artifacts: dict[str, str] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)

    def learn(self, event: Event) -> None:
        run, kind = event["run"], event["kind"]
        if kind == "create":
            self.runs.add(run)
        elif kind == "metrics":
            for key, value in event["values"].items():
                self.metrics[run, key, event["step"]] = repr(value)
        elif kind == "params":
            self.params.update({(run, key): value for key, value in event["values"].items()})
        elif kind == "tags":
            self.tags.update({(run, key): value for key, value in event["values"].items()})
        elif kind == "dataset":
            self.datasets.add((run, event["name"]))
        elif kind == "artifact":
            self.artifacts[event["path"]] = event["sha256"]
        elif kind == "status":
            self.status[run] = event["status"]

    def new_metrics(self, run: str, values: Mapping[str, float], step: int) -> dict[str, float]:
        """The rows worth writing: unseen (key, step), or seen with another value (code has changed)."""
        return {
            key: value
            for key, value in values.items()
            if (seen := self.metrics.get((run, key, step))) is None
            or (seen != repr(value) and not key.startswith(CLOCK_PREFIXES))
        }


class Journal:
    """The open journal of one attempt; safe to use from the run's own threads."""

    def __init__(self, scratch: Path) -> None:
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._warned = False
        self.folder, self.known = _continue(scratch)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = open(self.folder / JOURNAL, "ab", buffering=0)  # noqa: SIM115 - lives as long as the run
        self._size = _truncate_torn_line(self.folder / JOURNAL)

    def append(self, run: str, kind: str, **content: Any) -> None:
        """Write one event. A full disk loses nothing yet: events wait in memory for the next append."""
        event: Event = {"run": run, "kind": kind, "time": now(), **content}
        line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self.known.learn(event)
            self._waiting.append(line)
            data = b"".join(self._waiting)
            try:
                written = self._file.write(data)
                if written != len(data):
                    raise OSError(f"{written} of {len(data)} bytes written")
            except OSError as error:
                os.truncate(self.folder / JOURNAL, self._size)
                if not self._warned:
                    print(f"tracking: {self.folder / JOURNAL}: {error}; events wait", file=sys.stderr)
                self._warned = True
                return
            self._size += len(data)
            self._waiting.clear()

    def keep(self, source: Path, name: str) -> tuple[Path, str]:
        """Copy one file into the attempt; returns the copy's path below it and the content hash."""
        copy = self.folder / ARTIFACTS / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        remove(copy)
        shutil.copyfile(source, copy)
        return copy.relative_to(self.folder), hash_file(copy)

    def close(self) -> None:
        self._file.close()


@dataclass
class Delivered:
    """How far one tracker has a journal. Another tracker begins at the first byte."""

    store: str
    offset: int = 0
    runs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, store: str) -> "Delivered":
        try:
            state = json.loads((folder / DELIVERED).read_text(encoding="utf-8"))
            known = cls(state["store"], state["offset"], state["runs"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # Delivery is idempotent, so a lost state file costs time only.
            return cls(store)
        return known if known.store == store else cls(store)

    def save(self, folder: Path) -> None:
        write_atomically(folder / DELIVERED, json.dumps(vars(self), indent=1).encode())


def _continue(scratch: Path) -> tuple[Path, Known]:
    """The attempt folder to write to, and what it already holds."""
    existing = attempts(scratch)
    if not existing:
        return scratch / FOLDER / "attempt-001", Known()
    known = Known()
    if (existing[-1] / JOURNAL).exists():
        for event, _ in events(existing[-1]):
            known.learn(event)
    if known.status.get("") != "FINISHED":
        return existing[-1], known
    return scratch / FOLDER / f"attempt-{int(existing[-1].name.split('-')[1]) + 1:03d}", Known()


def _truncate_torn_line(path: Path) -> int:
    """Cut what a kill left behind the last newline; returns the size kept."""
    data = path.read_bytes()
    size = data.rfind(b"\n") + 1
    if size != len(data):
        os.truncate(path, size)
    return size
