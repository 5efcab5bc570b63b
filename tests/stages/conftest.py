"""A tracker for stage tests: remembers the numbers, by the name of the child run ("" for the run itself)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from seedbed.workspace import Workspace


class Tracked:
    def __init__(self, runs: dict[str, dict[str, float]] | None = None, name: str = "") -> None:
        self.runs: dict[str, dict[str, float]] = {} if runs is None else runs
        self.name = name

    @property
    def metrics(self) -> dict[str, float]:
        return self.runs.setdefault(self.name, {})

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        self.metrics.update(metrics)

    @contextmanager
    def child(self, name: str) -> Iterator["Tracked"]:
        yield Tracked(self.runs, name)


@pytest.fixture
def track(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], Tracked]:
    """Put a Tracked where a stage module opens its run."""

    def put(stage: ModuleType) -> Tracked:
        made = Tracked()

        @contextmanager
        def open_run(workspace: Workspace, label: str | None = None) -> Iterator[Tracked]:
            yield made

        monkeypatch.setattr(stage, "open_run", open_run)
        # stages set the libraries' threads by environment: put it back after the test
        for name in ("RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM"):
            monkeypatch.setenv(name, "1")
        return made

    return put
