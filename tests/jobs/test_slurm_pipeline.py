"""The real pipeline as a Slurm job: srun starts two processes for each training, a warning requeues it."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.project import BINARIES, REPOSITORY, make_project
from tests.jobs.lab import Slurm, command, field, log_of, submit, wait_for, wait_for_file

pytestmark = pytest.mark.cluster

MACHINE = """
accelerator: cpu
devices: 2
launcher: slurm
threads: 1
scratch: .scratch
checkpoint_minutes: 0.01
tracking_uri: sqlite:///mlflow.db
"""


def test_two_tasks_a_warning_and_the_whole_pipeline(slurm: Slurm, tmp_path: Path) -> None:
    project = make_project(tmp_path)
    params = project / "params.yaml"
    params.write_text(
        params.read_text().replace("electra_tiny: {max_steps: 12", "electra_tiny: {max_steps: 99")
    )
    shutil.copytree(REPOSITORY / "jobs", project / "jobs")
    (project / "Makefile").write_text("setup:\n\t@echo set up\n")
    machine = project / "machine.yaml"
    machine.write_text(MACHINE)
    environment = slurm | {
        "PATH": os.pathsep.join([str(BINARIES), slurm["PATH"]]),
        "SEEDBED_MACHINE": str(machine),
        "PYTHONPATH": str(project / "src"),
        "OMP_NUM_THREADS": "1",
    }
    job = submit(environment, project, "--ntasks=2", "--cpus-per-task=1")
    wait_for_file(project, ".scratch/pretrain/electra_tiny-*/checkpoints/step-*", seconds=300)
    assert field(environment, job, "JobState") == "RUNNING", log_of(project, job)[-6000:]
    command(environment, "scancel", "--batch", "--signal=USR1", job)
    wait_for(environment, project, job, "COMPLETED", "FAILED", "CANCELLED", seconds=900)
    log = log_of(project, job)
    assert field(environment, job, "ExitCode") == "0:0", log[-6000:]
    assert field(environment, job, "Restarts") == "1", log[-6000:]
    assert "queued again" in log and "state saved" in log, log[-6000:]
    report = json.loads((project / "reports/metrics.json").read_text())
    assert "electra_tiny-topics" in report["finetune"] and "naive2-classics" in report["forecast"]
