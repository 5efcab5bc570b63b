"""The MLflow store: opened only when something is delivered, and given up quickly when away."""

import http.client
import logging
import os
import sqlite3
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from seedbed.config import UserError
from seedbed.tracking.journal import Delivered, Event
from seedbed.workspace import hash_bytes

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql")
JOURNAL_TAG = "seedbed.journal"
CONNECT_SECONDS = 3.0
LOCK_SECONDS = 30.0
# Read by MLflow at each request; what the user has set in the environment stands.
LIBRARY_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class StoreAway(Exception):
    """The tracking store cannot be reached or written now; the journal keeps what it should have got."""


class StoreForgot(Exception):
    """The store does not know a run it was given before (its file was deleted): deliver from the start."""


def resolve_uri(uri: str, root: Path) -> str:
    """The tracking URI with a relative sqlite path taken from `root`; refuses what MLflow cannot use."""
    scheme = uri.split(":", 1)[0].split("+", 1)[0]
    if scheme not in SCHEMES or "://" not in uri:
        raise UserError(
            f"machine file: tracking_uri: got {uri!r}; allowed are sqlite:///FILE, http(s)://HOST:PORT and "
            "postgresql://, mysql://, mssql:// databases (MLflow 3 refuses plain folders)"
        )
    if scheme != "sqlite":
        return uri
    path = uri.removeprefix("sqlite:///")
    if path == uri or not path:
        raise UserError(f"machine file: tracking_uri: got {uri!r}; write sqlite:///mlflow.db (three slashes)")
    return f"sqlite:///{(root / path).resolve()}"


@dataclass
class Store:
    """One MLflow store; nothing is imported or opened before the first delivery."""

    uri: str
    _client: "MlflowClient | None" = None
    _experiments: dict[str, str] = field(default_factory=dict)
    _checked: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        """Names the store without showing a password."""
        return hash_bytes(self.uri.encode())[:16]

    @property
    def file(self) -> Path | None:
        return Path(self.uri.removeprefix("sqlite:///")) if self.uri.startswith("sqlite:///") else None

    def load_library(self) -> None:
        """Import MLflow (over a second) in the calling thread."""
        for variable, value in LIBRARY_SETTINGS.items():
            os.environ.setdefault(variable, value)
        for name in ("alembic", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.WARNING)
        import mlflow.tracking  # noqa: F401

    def probe(self) -> None:
        """Ask cheaply whether the store can be written: MLflow's own retries would take minutes."""
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.file, timeout=CONNECT_SECONDS)
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("CREATE TABLE seedbed_probe (x)")  # a lock alone says nothing of writing
                connection.rollback()
            finally:
                connection.close()
        elif self.uri.startswith("http"):
            request = urllib.request.Request(self.uri.rstrip("/") + "/health")
            try:
                with urllib.request.urlopen(request, timeout=CONNECT_SECONDS):
                    pass
            except urllib.error.HTTPError as error:
                if error.code >= 500:
                    raise

    @contextmanager
    def session(self) -> Iterator["MlflowClient"]:
        """A client while the store answers. One process at a time on a sqlite file, so that creating
        the database (several at once fail) and writing never collide. Raises StoreAway.
        """
        try:
            if self.file is None:
                self.probe()
                yield self._open()
                return
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.file}.lock", timeout=LOCK_SECONDS):
                self.probe()
                yield self._open()
        except tuple(self._faults()) as error:
            text = str(error).strip() or type(error).__name__
            raise StoreAway(text.splitlines()[0][:300]) from error

    def _open(self) -> "MlflowClient":
        if self._client is None:
            self.load_library()
            from mlflow.tracking import MlflowClient

            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return self._client

    def _faults(self) -> Iterator[type[Exception]]:
        # OSError holds time-outs, file locks, urllib's and requests' errors.
        yield from (OSError, sqlite3.Error, http.client.HTTPException)
        if "mlflow" in sys.modules:
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

            yield from (MlflowException, SQLAlchemyError)

    def experiment(self, client: "MlflowClient", name: str) -> str:
        """The id of experiment `name`: made on first use, restored when someone archived it."""
        from mlflow.exceptions import MlflowException

        if name in self._experiments:
            return self._experiments[name]
        found = client.get_experiment_by_name(name)
        if found is None:
            place = (self.file.parent / "mlartifacts" / name).as_uri() if self.file else None
            try:
                identity = client.create_experiment(name, artifact_location=place)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                again = client.get_experiment_by_name(name)  # another node was first
                assert again is not None
                identity = again.experiment_id
        else:
            identity = found.experiment_id
            if found.lifecycle_stage == "deleted":
                print(f"tracking: experiment {name} was archived; restoring it", file=sys.stderr)
                client.restore_experiment(identity)
        self._experiments[name] = str(identity)
        return str(identity)

    def run(self, client: "MlflowClient", state: Delivered, event: Event) -> str:
        """The MLflow id of the run that a `create` event describes, created if the store lacks it."""
        experiment = self.experiment(client, event["experiment"])
        found = client.search_runs(
            [experiment], f"tags.`{JOURNAL_TAG}` = '{event['uid']}'", run_view_type=3, max_results=1
        )
        if found:
            return str(found[0].info.run_id)
        tags = {JOURNAL_TAG: event["uid"], "mlflow.user": os.environ.get("USER", "unknown")}
        if event["parent"] is not None:
            tags["mlflow.parentRunId"] = state.runs[event["parent"]]
        made = client.create_run(experiment, start_time=event["time"], tags=tags, run_name=event["name"])
        return str(made.info.run_id)

    def check(self, client: "MlflowClient", run_id: str) -> None:
        """Once per process: the run is still there and not in the bin."""
        from mlflow.exceptions import MlflowException

        if run_id in self._checked:
            return
        try:
            info = client.get_run(run_id).info
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise StoreForgot from None
            raise
        if info.lifecycle_stage == "deleted":
            print(f"tracking: run {info.run_name} was deleted; restoring it", file=sys.stderr)
            client.restore_run(run_id)
        self._checked.add(run_id)
