"""Threads, the allocator and stop signals are settled before anything numeric is imported."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from seedbed import process

FAULTS = """
import resource, sys
from seedbed.process import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(50):
    bytearray(64 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def page_faults(how: str, **variables: str) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_memory_of_large_tensors_is_kept_and_own_settings_stand() -> None:
    """Memory given back and asked for again is paid in page faults: 16,384 for 64 MiB, each time."""
    given_back = page_faults("not")
    assert page_faults("keep") < given_back / 10
    assert page_faults("keep", MALLOC_MMAP_THRESHOLD_="131072") > given_back / 2


def test_threads_are_fixed_for_every_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*process.THREAD_COUNTS, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "unset")
    process.limit_threads(3, spin=7)
    assert {os.environ[name] for name in process.THREAD_COUNTS} == {"3"}
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("PASSIVE", "7")


def test_the_first_stop_signal_unwinds_and_later_ones_wait() -> None:
    """`timeout` sends SIGTERM to the program and again to its group."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)
    cleared = False
    with pytest.raises(process.Stopped), process.stopping(signal.SIGTERM, signal.SIGUSR1):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            for number in (signal.SIGTERM, signal.SIGUSR1):
                os.kill(os.getpid(), number)
            cleared = True
    assert cleared
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)) == before


def test_nobodys_except_exception_swallows_a_stop() -> None:
    """As an optional import's fallback would, and go on."""
    with pytest.raises(process.Stopped), process.stopping(signal.SIGUSR1), suppress(Exception):
        os.kill(os.getpid(), signal.SIGUSR1)


def test_a_forked_child_ends_as_without_it() -> None:
    with process.stopping(signal.SIGTERM):
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM


def test_other_threads_leave_signals_alone() -> None:
    found: list[object] = []

    def look() -> None:
        with process.stopping(signal.SIGTERM):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
