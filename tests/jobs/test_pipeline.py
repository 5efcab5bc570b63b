"""jobs/pipeline.sh from a plain shell: exit codes, and a stop that saves."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.jobs.toy import make_project


def run(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "jobs/pipeline.sh"], cwd=project, capture_output=True, text=True, timeout=60, check=False
    )


def start(project: Path, **environment: str) -> subprocess.Popen[str]:
    command = ["env", *(f"{key}={value}" for key, value in environment.items()), "bash", "jobs/pipeline.sh"]
    process = subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 30
    while not (project / "started.txt").exists():
        assert time.monotonic() < deadline, "the training did not start"
        time.sleep(0.02)
    return process


def test_success_sets_up_runs_delivers_and_reports(tmp_path: Path) -> None:
    result = run(make_project(tmp_path / "toy", steps=1))
    assert result.returncode == 0, result.stdout + result.stderr
    assert (
        result.stdout.index("set up")
        < result.stdout.index("delivered")
        < result.stdout.index("reports/report.html")
    )


def test_a_failed_stage_keeps_what_dvc_said(tmp_path: Path) -> None:
    result = run(make_project(tmp_path / "toy", steps=1, code=2))
    assert result.returncode == 255
    assert "pipeline: failed" in result.stdout


def test_a_failed_set_up_ends_with_2(tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=1)
    (project / "Makefile").write_text("setup:\n\t@false\n")
    assert run(project).returncode == 2
    assert not (project / "state.txt").exists()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_asked_to_stop_it_saves_ends_with_75_and_continues(tmp_path: Path, number: signal.Signals) -> None:
    project = make_project(tmp_path / "toy", steps=60)
    process = start(project)
    time.sleep(0.3)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 75, output
    saved = int((project / "state.txt").read_text())
    assert 0 < saved < 60, output

    again = run(project)
    assert again.returncode == 0, again.stdout
    assert int((project / "started.txt").read_text()) == saved
    assert int((project / "state.txt").read_text()) == 60


def test_a_stage_that_takes_no_signal_is_ended_after_the_grace(tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", steps=1)
    (project / "training.py").write_text(
        "import pathlib, time\npathlib.Path('started.txt').touch()\ntime.sleep(60)\n"
    )
    process = start(project, SEEDBED_GRACE_SECONDS="1")
    began = time.monotonic()
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 75, output
    assert 0.9 < time.monotonic() - began < 10
