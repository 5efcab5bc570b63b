"""Progress of long work: a bar at a terminal, plain lines in a log; a time to finish where one is known."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


class Progress:
    """Counts units of work; `update(n, **facts)` as they are done, `close()` at the end."""

    def __init__(
        self, label: str, total: int | None, unit: str, done: int = 0, log_seconds: float = 15.0
    ) -> None:
        self._label, self._total, self._unit = label, total, f" {unit}"
        self._done, self._start_done = done, done
        self._start = self._last = time.monotonic()
        self._log_seconds = log_seconds
        self._facts = ""
        self._bar = (
            tqdm(total=total, initial=done, desc=label, unit=self._unit, leave=False, dynamic_ncols=True)
            if sys.stderr.isatty()
            else None
        )

    def update(self, count: int = 1, **facts: float | str) -> None:
        self._done += count
        if facts:
            self._facts = ", ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in facts.items()
            )
        if self._bar is not None:
            self._bar.update(count)
            if facts:
                self._bar.set_postfix_str(self._facts, refresh=False)
        elif time.monotonic() - self._last >= self._log_seconds:
            self._line()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._line()

    def _line(self) -> None:
        self._last = time.monotonic()
        elapsed = self._last - self._start
        meter = tqdm.format_meter(
            self._done,
            self._total,
            elapsed,
            prefix=self._label,
            unit=self._unit,
            initial=self._start_done,
            postfix=self._facts or None,
            bar_format=None
            if self._total is None
            else "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} "
            "[{elapsed}<{remaining}, {rate_fmt}{postfix}]",
        )
        print(meter, file=sys.stderr, flush=True)


def track(items: Iterable[T], label: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yield from `items`, reporting progress."""
    progress = Progress(label, total, unit)
    try:
        for item in items:
            yield item
            progress.update()
    finally:
        progress.close()
