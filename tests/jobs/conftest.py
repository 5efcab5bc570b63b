"""The Slurm of the cluster tests."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.lab import Slurm

LAB = Path(__file__).with_name("slurm_lab.sh")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """The environment in which Slurm's commands reach the lab."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        pytest.fail(
            f"not installed: {', '.join(missing)}; apt-get install munge slurmctld slurmd slurm-client"
        )
    folder = tmp_path_factory.mktemp("slurm")
    try:
        up = subprocess.run(
            ["bash", LAB, "up", folder], capture_output=True, text=True, timeout=60, check=False
        )
        assert up.returncode == 0, up.stdout + up.stderr
        # Jobs inherit this environment; a job in which pytest's own variables are visible proves less.
        yield {"PATH": path, "HOME": os.environ.get("HOME", "/"), "SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run(["bash", LAB, "down", folder], timeout=90, check=False)
