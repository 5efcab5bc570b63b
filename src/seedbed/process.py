"""What a process settles before any numeric library is imported: threads, and memory that is kept."""

import ctypes
import os

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
