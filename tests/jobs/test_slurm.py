"""jobs/seedbed.sbatch on a real Slurm: what becomes of a job that ends, fails, is warned or misplaced."""

import re
import time
from pathlib import Path

import pytest

from tests.jobs.lab import Slurm, command, field, log_of, submit, wait_for, wait_for_file
from tests.jobs.toy import REPOSITORY, make_project

pytestmark = pytest.mark.cluster


def test_a_finished_pipeline_is_a_completed_job(slurm: Slurm, tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=2)
    job = submit(slurm, project)
    wait_for(slurm, project, job, "COMPLETED", "FAILED")
    assert field(slurm, job, "ExitCode") == "0:0", log_of(project, job)
    assert "pipeline: done" in log_of(project, job)


def test_a_failed_pipeline_is_a_failed_job_with_its_exit_code(slurm: Slurm, tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=2, code=1)
    job = submit(slurm, project)
    wait_for(slurm, project, job, "COMPLETED", "FAILED")
    assert field(slurm, job, "ExitCode") == "255:0", log_of(project, job)
    assert field(slurm, job, "Restarts") == "0"


def test_a_warned_job_saves_is_queued_again_and_continues(slurm: Slurm, tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=100)
    job = submit(slurm, project)
    wait_for_file(project, "started.txt")
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


def test_the_time_limit_itself_requeues(slurm: Slurm, tmp_path: Path) -> None:
    """Slurm's own warning, not ours. It looks at limits every half minute, so the work takes longer."""
    project = make_project(tmp_path / "toy", steps=800)
    job = submit(slurm, project, "--time=1", "--signal=B:USR1@58")
    wait_for(slurm, project, job, "COMPLETED", "FAILED", "TIMEOUT", seconds=240)
    assert field(slurm, job, "JobState") == "COMPLETED", log_of(project, job)
    assert int(field(slurm, job, "Restarts")) >= 1, log_of(project, job)


def test_restarts_have_an_end(slurm: Slurm, tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=10_000)
    job = submit(slurm, project, "--export=ALL,SEEDBED_MAX_RESTARTS=0")
    wait_for_file(project, "started.txt")
    command(slurm, "scancel", "--batch", "--signal=USR1", job)
    wait_for(slurm, project, job, "COMPLETED", "FAILED")
    assert field(slurm, job, "ExitCode") == "75:0", log_of(project, job)


def test_submitted_from_a_wrong_folder_it_says_so(slurm: Slurm, tmp_path: Path) -> None:
    job = command(slurm, "sbatch", "--parsable", str(REPOSITORY / "jobs" / "seedbed.sbatch"), cwd=tmp_path)
    wait_for(slurm, tmp_path, job, "COMPLETED", "FAILED")
    assert field(slurm, job, "ExitCode") == "2:0"
    assert "submit from the project's folder" in log_of(tmp_path, job)
