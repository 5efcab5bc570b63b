"""Threads and the allocator are settled before anything numeric is imported."""

import os
import subprocess
import sys

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
