"""The thread beside a stage that measures the process and carries the journal to the store."""

import resource
import sys
import threading
import time
from pathlib import Path

from seedbed.tracking.client import Store, StoreAway
from seedbed.tracking.delivery import deliver, deliver_pending
from seedbed.tracking.journal import Delivered, Journal

LIBRARY_AFTER_SECONDS = 5.0
"""A stage shorter than this imports MLflow once, at its end."""
DELIVER_SECONDS = 10.0
SAMPLE_SECONDS = 10.0
MOST_BACKOFF_SECONDS = 300.0
FINISH_SECONDS = 30.0
BACKLOG_SECONDS = 20.0


class Courier(threading.Thread):
    """Measures the process and carries the journal away, from time to time, while the stage works."""

    def __init__(self, journal: Journal, store: Store, scratch_root: Path) -> None:
        super().__init__(name="tracking", daemon=True)
        self._journal, self._store, self._scratch_root = journal, store, scratch_root
        self._stop_asked = threading.Event()
        self._begun = time.monotonic()
        self._may_deliver = False
        self._warned = False
        self._delivered = Delivered.load(journal.folder, store.key)
        samples = (step for _, key, step in journal.known.metrics if key.startswith("system/"))
        self._sample = 1 + max(samples, default=-1)

    def run_id(self, key: str) -> str | None:
        return self._delivered.runs.get(key)

    def wake(self) -> None:
        """Import MLflow once the stage is a long one; called by the stage's own thread, because two threads
        that import overlapping libraries can meet half-made modules.
        """
        if not self._may_deliver and time.monotonic() - self._begun > LIBRARY_AFTER_SECONDS:
            self._store.load_library()
            self._may_deliver = True

    def run(self) -> None:
        import psutil

        process = psutil.Process()
        process.cpu_percent()
        wait, next_sample, next_delivery = DELIVER_SECONDS, time.monotonic() + SAMPLE_SECONDS, 0.0
        while not self._stop_asked.wait(1.0):
            if time.monotonic() >= next_sample:
                memory = process.memory_info().rss / 2**30
                self._log({"system/memory_gib": memory, "system/cpu_percent": process.cpu_percent()})
                next_sample = time.monotonic() + SAMPLE_SECONDS
            if self._may_deliver and time.monotonic() >= next_delivery:
                wait = DELIVER_SECONDS if self._try() else min(2 * wait, MOST_BACKOFF_SECONDS)
                next_delivery = time.monotonic() + wait

    def finish(self) -> None:
        """The last delivery; then what earlier runs had to leave behind."""
        self._stop_asked.set()
        self.join(timeout=FINISH_SECONDS)
        if not self.is_alive():
            self._try(backlog=True)

    def measure_peak(self) -> None:
        """The stage's greatest memory and its time."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        self._log({"system/peak_memory_gib": peak, "time/seconds": time.monotonic() - self._begun})

    def _log(self, values: dict[str, float]) -> None:
        self._journal.append("", "metrics", step=self._sample, values=values)
        self._sample += 1

    def _try(self, backlog: bool = False) -> bool:
        try:
            self._delivered = deliver(self._journal.folder, self._store)
            if backlog:
                deliver_pending(self._scratch_root, self._store, seconds=BACKLOG_SECONDS)
        except StoreAway as away:
            if not self._warned:
                print(
                    f"tracking: the store is away ({away}); the run goes on, its journal is kept in "
                    f"{self._journal.folder} and delivered by a later run",
                    file=sys.stderr,
                )
            self._warned = True
            return False
        return True
