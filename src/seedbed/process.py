"""What a process settles before any numeric library is imported: threads, kept memory, stop signals."""

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc
KEPT_BYTES = {M_MMAP_THRESHOLD: 2**30, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**28}


def limit_threads(threads: int, *, spin: int) -> None:
    """Fix the thread counts of every numeric library.

    Threads that wait spin a little and then sleep (`spin`): to spin on is several times slower when
    another process takes a core, to sleep at once a quarter slower when none does.
    """
    for name in THREAD_COUNTS:
        os.environ[name] = str(threads)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ["GOMP_SPINCOUNT"] = str(spin)


def keep_freed_memory() -> None:
    """Let the allocator keep what large tensors leave behind, for those of the next step.

    glibc otherwise gives it back at every step and asks for it again, a tenth to a third of the time. Who
    sets glibc's own MALLOC_ variables keeps them; other C libraries have no mallopt and need none.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    for parameter, value in KEPT_BYTES.items():
        libc.mallopt(parameter, value)


class Stopped(BaseException):
    """A stop signal came while nothing trained. No Exception: nobody's `except Exception` may swallow it."""


@contextmanager
def stopping(*signals: signal.Signals) -> Iterator[None]:
    """Let the first of `signals` raise Stopped in the block, so that it unwinds and clears up like any fault.

    Later ones are ignored meanwhile: `timeout` and Slurm send more than one. A training loop puts its own
    handlers in their place (training/interruption.py) and these back. Only a process's main thread can
    handle signals: elsewhere, and in forked children, they keep their usual meaning.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped

    before = {number: signal.signal(number, stop) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
