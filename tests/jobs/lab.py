"""Slurm's commands, on the real Slurm that the fixture `slurm` brings up on this host."""

import re
import subprocess
import time
from pathlib import Path

Slurm = dict[str, str]
"""The environment in which Slurm's commands reach the lab."""


def command(slurm: Slurm, *words: str, cwd: Path | None = None) -> str:
    result = subprocess.run(
        words, env=slurm, cwd=cwd, capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 0, f"{' '.join(words)}: {result.stdout}{result.stderr}"
    return result.stdout.strip()


def submit(slurm: Slurm, project: Path, *options: str) -> str:
    return command(slurm, "sbatch", "--parsable", *options, "jobs/seedbed.sbatch", cwd=project)


def field(slurm: Slurm, job: str, name: str) -> str:
    found = re.search(rf"\b{name}=(\S+)", command(slurm, "scontrol", "show", "job", job))
    return found.group(1) if found else ""


def wait_for(slurm: Slurm, project: Path, job: str, *states: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while (state := field(slurm, job, "JobState")) not in states:
        log = project / f"seedbed-{job}.log"
        assert time.monotonic() < deadline, f"job is {state}\n{log.read_text() if log.exists() else 'no log'}"
        time.sleep(0.2)


def wait_for_file(folder: Path, pattern: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not any(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"{pattern} did not appear"
        time.sleep(0.1)


def log_of(project: Path, job: str) -> str:
    return (project / f"seedbed-{job}.log").read_text()
