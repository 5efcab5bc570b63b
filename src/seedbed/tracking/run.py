"""The run that stages see: every call is journalled at once and delivered behind their back."""

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import ClassVar, Protocol
from uuid import uuid4

from seedbed.config import Interrupted
from seedbed.tracking import lineage, registry
from seedbed.tracking.client import Store, resolve_uri
from seedbed.tracking.courier import Courier
from seedbed.tracking.journal import Journal
from seedbed.workspace import Workspace

WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
MOST_VALUE_CHARACTERS = {"params": 6000, "tags": 8000}
_adopted: ContextVar["Run | None"] = ContextVar("adopted", default=None)


class Run(Protocol):
    """What a stage may tell about itself. No call ever fails because of a tracking store."""

    @property
    def run_id(self) -> str | None:
        """MLflow's id, once the store has the run."""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Numbers at a step; a (key, step) that a killed run had logged already is not repeated."""

    def log_params(self, params: Mapping[str, object]) -> None:
        """Facts that stay as they are (vocabulary size, number of parameters)."""

    def log_tags(self, tags: Mapping[str, object]) -> None:
        """Facts that may change when the run goes on elsewhere."""

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """A small file or folder (plots, tables), copied now; never weights: those are DVC's."""

    def log_model_version(
        self, model: str, *, path: str, digest: str, tags: Mapping[str, str], aliases: Sequence[str]
    ) -> None:
        """Register what lies at `path`, of content `digest`, as a version of `model`; move `aliases`."""

    def child(self, name: str) -> AbstractContextManager["Run"]:
        """A run below this one (a seed, a member, a trial): `with run.child("seed-0") as seed:`."""


class SilentRun:
    """The Run of every process but the first: it tells nothing."""

    run_id: ClassVar[str | None] = None

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        pass

    def log_params(self, params: Mapping[str, object]) -> None:
        pass

    def log_tags(self, tags: Mapping[str, object]) -> None:
        pass

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        pass

    def log_model_version(
        self, model: str, *, path: str, digest: str, tags: Mapping[str, str], aliases: Sequence[str]
    ) -> None:
        pass

    @contextmanager
    def child(self, name: str) -> Iterator[Run]:
        yield self


class TrackedRun:
    """One run of a journal; `key` is its path below the root run ("" , "seed-0", "trial-3/seed-0")."""

    def __init__(self, journal: Journal, courier: Courier, *, key: str, experiment: str) -> None:
        self._journal, self._courier, self._key, self._experiment = journal, courier, key, experiment

    @property
    def run_id(self) -> str | None:
        return self._courier.run_id(self._key)

    def begin(self, name: str, parent: str | None) -> None:
        """Create the run in the journal, or go on with it after a kill."""
        known = self._journal.known
        if self._key not in known.runs:
            uid = uuid4().hex
            self._journal.append(
                self._key, "create", experiment=self._experiment, name=name, parent=parent, uid=uid
            )
        elif known.status.get(self._key, "RUNNING") != "RUNNING":
            self._journal.append(self._key, "status", status="RUNNING")

    def end(self, status: str) -> None:
        self._journal.append(self._key, "status", status=status)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        values = {_name(key): float(value) for key, value in metrics.items()}
        if values := self._journal.known.new_metrics(self._key, values, int(step)):
            self._journal.append(self._key, "metrics", step=int(step), values=values)
        self._courier.wake()

    def log_params(self, params: Mapping[str, object]) -> None:
        known = self._journal.known.params
        new: dict[str, str] = {}
        for key, value in params.items():
            key, text = _name(key), _short(value, "params")
            if known.get((self._key, key), text) != text:
                # MLflow's params are for ever; the newer value is kept where a person finds it.
                print(f"tracking: param {key} has changed; kept as tag changed.{key}", file=sys.stderr)
                self.log_tags({f"changed.{key}": value})
            elif (self._key, key) not in known:
                new[key] = text
        if new:
            self._journal.append(self._key, "params", values=new)

    def log_tags(self, tags: Mapping[str, object]) -> None:
        known = self._journal.known.tags
        values = {_name(key): _short(value, "tags") for key, value in tags.items()}
        new = {key: value for key, value in values.items() if known.get((self._key, key)) != value}
        if new:
            self._journal.append(self._key, "tags", values=new)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        if path.is_dir():
            for file in sorted(p for p in path.rglob("*") if p.is_file()):
                inner = file.parent.relative_to(path.parent).as_posix()
                self.log_artifact(file, f"{folder}/{inner}" if folder else inner)
            return
        assert path.suffix not in WEIGHTS, f"{path}: weights belong to DVC, not to the tracker"
        place = "/".join(part for part in (self._key.replace("/", "~") or "~", folder, path.name) if part)
        copy, digest = self._journal.keep(path, place)
        if self._journal.known.artifacts.get(copy.as_posix()) != digest:
            self._journal.append(self._key, "artifact", path=copy.as_posix(), folder=folder, sha256=digest)

    def log_model_version(
        self, model: str, *, path: str, digest: str, tags: Mapping[str, str], aliases: Sequence[str]
    ) -> None:
        named = {**tags, registry.PATH_TAG: path, registry.HASH_TAG: digest}
        short = {_name(key): _short(value, "tags") for key, value in named.items()}
        self._journal.append(self._key, "version", model=model, tags=short, aliases=list(aliases))

    def log_datasets(self, datasets: list[dict[str, str]]) -> None:
        for dataset in datasets:
            if (self._key, dataset["name"]) not in self._journal.known.datasets:
                self._journal.append(self._key, "dataset", **dataset)

    @contextmanager
    def child(self, name: str) -> Iterator[Run]:
        key = f"{self._key}/{name}" if self._key else name
        run = TrackedRun(self._journal, self._courier, key=key, experiment=self._experiment)
        run.begin(name, self._key)
        run.log_tags(
            {
                tag: value
                for (owner, tag), value in list(self._journal.known.tags.items())
                if owner == self._key and tag in ("stage", "run", "fingerprint", "commit", "lock_digest")
            }
        )
        with _ended(run):
            yield run


@contextmanager
def open_run(
    workspace: Workspace, label: str | None = None, *, params: Mapping[str, object] | None = None
) -> Iterator[Run]:
    """One MLflow run in the experiment of the verb, named after the run (or `label`).

    Only the first process of a job tracks. Inside `adopting(run)` the stage logs to that run instead.
    """
    params = workspace.flat_recipe if params is None else params
    adopted = _adopted.get()
    if adopted is not None:
        adopted.log_params(params)
        adopted.log_tags({"fingerprint": workspace.fingerprint})
        yield adopted
        return
    if workspace.rank != 0:
        yield SilentRun()
        return
    store = Store(resolve_uri(workspace.machine.tracking_uri, workspace.root))
    workspace.scratch.mkdir(parents=True, exist_ok=True)
    journal = Journal(workspace.scratch)
    courier = Courier(journal, store, workspace.root / workspace.machine.scratch)
    root = TrackedRun(journal, courier, key="", experiment=workspace.verb)
    root.begin(label or workspace.run, None)
    root.log_tags(lineage.tags(workspace))
    root.log_params(params)
    root.log_datasets(lineage.datasets(workspace))
    courier.start()
    try:
        with _ended(root):
            try:
                yield root
            finally:
                courier.measure_peak()
    finally:
        courier.finish()
        journal.close()


@contextmanager
def adopting(run: Run) -> Iterator[None]:
    """Stage functions called inside log to `run` (a trial of a study) and open no run of their own."""
    token = _adopted.set(run)
    try:
        yield
    finally:
        _adopted.reset(token)


@contextmanager
def _ended(run: TrackedRun) -> Iterator[None]:
    """Write how the block ended: FINISHED, FAILED, or KILLED when it was stopped from outside.

    An exception class tells that it is no failure by `run_status = "KILLED"` (a pruned trial).
    """
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, Interrupted) or not isinstance(error, Exception)
        run.end("KILLED" if stopped else getattr(error, "run_status", "FAILED"))
        raise
    run.end("FINISHED")


def _name(key: str) -> str:
    """A key in MLflow's alphabet (letters, digits, _ - . : / and space), at most 250 characters."""
    return re.sub(r"[^\w\-.:/ ]", "_", str(key))[:250]


def _short(value: object, kind: str) -> str:
    """The value as text; what is longer than the store takes is cut, with a mark that says so."""
    text = repr(value) if isinstance(value, float) and not math.isfinite(value) else str(value)
    most = MOST_VALUE_CHARACTERS[kind]
    if len(text) <= most:
        return text
    mark = f" ...[cut, {len(text)} characters]"
    return text[: most - len(mark)] + mark
