"""Carries journals into an MLflow store, each event exactly once.

A kill may fall between sending and remembering, so sending twice must change nothing: runs are found again
by a tag that is written with their creation, and MLflow's databases hold a metric row (key, time, step,
value) only once.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from seedbed.config import UserError
from seedbed.tracking.client import LOCK_SECONDS, Store, StoreAway, StoreForgot, resolve_uri
from seedbed.tracking.journal import JOURNAL, Delivered, Event, events, journals
from seedbed.tracking.registry import send_version

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CHUNK_EVENTS = 500
LIMITS = {"metrics": 1000, "params": 100, "tags": 100}
"""The most entities of one kind that MLflow takes in one call."""


def deliver(folder: Path, store: Store, *, deadline: float | None = None) -> Delivered:
    """Carry one attempt's journal into the store, as far as it is written. Raises StoreAway."""
    try:
        with FileLock(folder / "deliver.lock", timeout=LOCK_SECONDS):
            state = Delivered.load(folder, store.key)
            for _ in range(2):
                try:
                    return _deliver(folder, store, state, deadline)
                except StoreForgot:
                    state = Delivered(store.key)
            raise StoreAway("the store loses the runs it is given")
    except OSError as error:
        raise StoreAway(f"{folder}: {error}") from error


def _deliver(folder: Path, store: Store, state: Delivered, deadline: float | None) -> Delivered:
    while deadline is None or time.monotonic() < deadline:
        chunk = list(islice(events(folder, state.offset), CHUNK_EVENTS))
        if not chunk:
            break
        with store.session() as client:
            _apply(folder, store, client, state, [event for event, _ in chunk])
        state.offset = chunk[-1][1]
        state.save(folder)
    return state


def _apply(folder: Path, store: Store, client: "MlflowClient", state: Delivered, chunk: list[Event]) -> None:
    """Send one stretch of a journal, gathered by run and kind into few calls."""
    for event in chunk:
        if event["kind"] == "create":
            state.runs[event["run"]] = store.run(client, state, event)
    of_run: dict[str, list[Event]] = {}
    for event in chunk:
        of_run.setdefault(event["run"], []).append(event)
    for run, its_events in of_run.items():
        run_id = state.runs[run]
        store.check(client, run_id)
        _send_values(client, run_id, its_events)
        for event in its_events:
            if event["kind"] == "dataset":
                _send_dataset(client, run_id, event)
            elif event["kind"] == "artifact":
                _send_artifact(client, run_id, folder / event["path"], event["folder"])
            elif event["kind"] == "version":
                _unless_refused(partial(send_version, client, run_id, event))
        statuses = [event for event in its_events if event["kind"] == "status"]
        if statuses and statuses[-1]["status"] == "RUNNING":
            client.update_run(run_id, status="RUNNING")
        elif statuses:
            client.set_terminated(run_id, statuses[-1]["status"], end_time=statuses[-1]["time"])


def _send_values(client: "MlflowClient", run_id: str, its_events: list[Event]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    rows: dict[str, list[Any]] = {"metrics": [], "params": [], "tags": []}
    for event in its_events:
        for key, value in event["values"].items() if event["kind"] in rows else ():
            if event["kind"] == "metrics":
                rows["metrics"].append(Metric(key, value, event["time"], event["step"]))
            else:
                rows[event["kind"]].append((Param if event["kind"] == "params" else RunTag)(key, value))
    for kind, entities in rows.items():
        for first in range(0, len(entities), LIMITS[kind]):
            batch: dict[str, Any] = {kind: entities[first : first + LIMITS[kind]]}
            _unless_refused(partial(client.log_batch, run_id, **batch))


def _send_dataset(client: "MlflowClient", run_id: str, event: Event) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(event["name"], event["digest"], event["source_type"], event["source"])
    context = InputTag("mlflow.data.context", "input")
    _unless_refused(partial(client.log_inputs, run_id, datasets=[DatasetInput(dataset, tags=[context])]))


def _send_artifact(client: "MlflowClient", run_id: str, path: Path, folder: str | None) -> None:
    if path.is_file():
        client.log_artifact(run_id, str(path), folder)
    else:
        print(f"tracking: {path} is gone; it is not delivered", file=sys.stderr)


def _unless_refused(send: Callable[[], object]) -> None:
    """What the store will never take is told and left out; anything else stops this delivery."""
    from mlflow.exceptions import MlflowException

    try:
        send()
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        print(f"tracking: MLflow refuses: {str(error).splitlines()[0][:300]}", file=sys.stderr)


def pending(folder: Path, store: Store) -> bool:
    """Whether a journal holds what the store lacks."""
    return Delivered.load(folder, store.key).offset < (folder / JOURNAL).stat().st_size


def deliver_pending(scratch_root: Path, store: Store, *, seconds: float) -> None:
    """Deliver what earlier runs could not, for at most about `seconds`. Raises StoreAway."""
    deadline = time.monotonic() + seconds
    for folder in journals(scratch_root):
        if time.monotonic() < deadline and pending(folder, store):
            deliver(folder, store, deadline=deadline)


def deliver_all(scratch_root: Path, tracking_uri: str, *, root: Path | None = None) -> int:
    """Deliver every journal below `scratch_root`, checking the finished ones too; returns their number.

    A relative sqlite path is taken from `root` (the current folder). Raises UserError if the store is away.
    """
    store = Store(resolve_uri(tracking_uri, root or Path.cwd()))
    folders = journals(scratch_root)
    for count, folder in enumerate(folders):
        try:
            state = deliver(folder, store)
            with store.session() as client:
                for run_id in state.runs.values():
                    store.check(client, run_id)
        except StoreForgot:
            Delivered(store.key).save(folder)
            deliver(folder, store)
        except StoreAway as away:
            raise UserError(
                f"deliver: {away}; {count} of {len(folders)} journals are delivered, the rest is kept; "
                "repeat when the store is back"
            ) from None
    return len(folders)
