"""jobs/seedbed.sbatch on a real Slurm that the test brings up on this host."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.toy import REPOSITORY, make_project

pytestmark = pytest.mark.cluster
LAB = REPOSITORY / "tests" / "jobs" / "slurm_lab.sh"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
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


def command(slurm: dict[str, str], *words: str, cwd: Path | None = None) -> str:
    result = subprocess.run(
        words, env=slurm, cwd=cwd, capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 0, f"{' '.join(words)}: {result.stdout}{result.stderr}"
    return result.stdout.strip()


def submit(slurm: dict[str, str], project: Path, *options: str) -> str:
    return command(slurm, "sbatch", "--parsable", *options, "jobs/seedbed.sbatch", cwd=project)


def field(slurm: dict[str, str], job: str, name: str) -> str:
    found = re.search(rf"\b{name}=(\S+)", command(slurm, "scontrol", "show", "job", job))
    return found.group(1) if found else ""


def wait_for(slurm: dict[str, str], project: Path, job: str, *states: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while (state := field(slurm, job, "JobState")) not in states:
        log = project / f"seedbed-{job}.log"
        assert time.monotonic() < deadline, f"job is {state}\n{log.read_text() if log.exists() else 'no log'}"
        time.sleep(0.2)


def wait_for_file(path: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.1)


def log_of(project: Path, job: str) -> str:
    return (project / f"seedbed-{job}.log").read_text()


def test_a_finished_pipeline_is_a_completed_job(slurm: dict[str, str], tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=2)
    job = submit(slurm, project)
    wait_for(slurm, project, job, "COMPLETED", "FAILED")
    assert field(slurm, job, "ExitCode") == "0:0", log_of(project, job)
    assert "pipeline: done" in log_of(project, job)


def test_a_failed_pipeline_is_a_failed_job_with_its_exit_code(slurm: dict[str, str], tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=2, code=1)
    job = submit(slurm, project)
    wait_for(slurm, project, job, "COMPLETED", "FAILED")
    assert field(slurm, job, "ExitCode") == "255:0", log_of(project, job)
    assert field(slurm, job, "Restarts") == "0"


def test_a_warned_job_saves_is_queued_again_and_continues(slurm: dict[str, str], tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=100)
    job = submit(slurm, project)
    wait_for_file(project / "started.txt")
    time.sleep(0.5)
    command(slurm, "scancel", "--batch", "--signal=USR1", job)
    wait_for(slurm, project, job, "COMPLETED", "FAILED")
    log = log_of(project, job)
    assert field(slurm, job, "ExitCode") == "0:0", log
    assert field(slurm, job, "Restarts") == "1", log
    saved = re.search(r"saved at (\d+)", log)
    assert saved and "queued again" in log, log
    assert (project / "started.txt").read_text() == saved.group(1)
    assert (project / "state.txt").read_text() == "100"


def test_the_time_limit_itself_requeues(slurm: dict[str, str], tmp_path: Path) -> None:
    """Slurm's own warning, not ours. It looks at limits every half minute, so the work takes longer."""
    project = make_project(tmp_path / "toy", steps=800)
    job = submit(slurm, project, "--time=1", "--signal=B:USR1@58")
    wait_for(slurm, project, job, "COMPLETED", "FAILED", "TIMEOUT", seconds=240)
    assert field(slurm, job, "JobState") == "COMPLETED", log_of(project, job)
    assert int(field(slurm, job, "Restarts")) >= 1, log_of(project, job)


def test_restarts_have_an_end(slurm: dict[str, str], tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=10_000)
    job = submit(slurm, project, "--export=ALL,SEEDBED_MAX_RESTARTS=0")
    wait_for_file(project / "started.txt")
    command(slurm, "scancel", "--batch", "--signal=USR1", job)
    wait_for(slurm, project, job, "COMPLETED", "FAILED")
    assert field(slurm, job, "ExitCode") == "75:0", log_of(project, job)


def test_submitted_from_a_wrong_folder_it_says_so(slurm: dict[str, str], tmp_path: Path) -> None:
    job = command(slurm, "sbatch", "--parsable", str(REPOSITORY / "jobs" / "seedbed.sbatch"), cwd=tmp_path)
    wait_for(slurm, tmp_path, job, "COMPLETED", "FAILED")
    assert field(slurm, job, "ExitCode") == "2:0"
    assert "submit from the project's folder" in log_of(tmp_path, job)
