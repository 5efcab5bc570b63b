"""Killed anywhere and started again, on the same number of processes or another, a run ends the same."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

STEPS, BATCH = 40, 12
MACHINE = {"threads": 1, "checkpoint_minutes": 1e-9}


def run(scratch: Path, *, processes: int = 1, die: list[Any] | None = None, **machine: Any) -> int:
    """Train the toy in processes of its own; `die` lists (place, count, signal, rank)."""
    scratch.mkdir(exist_ok=True)
    settings = {"machine": MACHINE | {"devices": processes} | machine, "die": die or []}
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "tests.training.toy"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(scratch), json.dumps(settings)],
        env=environment,
        timeout=180,
        capture_output=True,
        check=False,
    )
    assert die or done.returncode == 0, done.stderr.decode()
    return done.returncode


def end(scratch: Path) -> tuple[bytes, dict[str, Any]]:
    """Weights and moments of the last checkpoint, and all that was recorded."""
    folder = scratch / f"checkpoints/step-{STEPS:09d}"
    return (folder / "state.safetensors").read_bytes(), json.loads((folder / "state.json").read_text())


def served(scratch: Path, processes: int, *, micro_batch: int) -> list[int]:
    """Examples in the order of the global batches, whose micro-batches the processes take in turn."""
    ranks = [json.loads((scratch / f"served-{rank}.json").read_text()) for rank in range(processes)]
    return [
        n for i in range(0, len(ranks[0]), micro_batch) for rank in ranks for n in rank[i : i + micro_batch]
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    scratch = tmp_path_factory.mktemp("whole")
    run(scratch)
    return scratch


@pytest.fixture(scope="module")
def in_halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process in micro-batches of 6: what two processes with 6 each must equal."""
    scratch = tmp_path_factory.mktemp("halves")
    run(scratch, tokens_per_device=6)
    return scratch


@pytest.mark.parametrize(
    ("die", "code"),
    [
        (["batch", 24, "SIGKILL", 0], -9),
        (["batch", 12, "SIGTERM", 0], 75),
        (["save", 14, "SIGKILL", 0], -9),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else "",
)
def test_killed_and_restarted_ends_bit_identical(
    tmp_path: Path, whole: Path, die: list[Any], code: int
) -> None:
    assert run(tmp_path, die=[die]) == code
    run(tmp_path)
    assert end(tmp_path) == end(whole)


def test_two_processes_equal_one(tmp_path: Path, in_halves: Path) -> None:
    """The same micro-batches of 6 on one device in turn or on two at once: same examples, same dropout."""
    run(tmp_path, processes=2, tokens_per_device=6)
    assert served(tmp_path, 2, micro_batch=6) == served(in_halves, 1, micro_batch=6)
    assert_ends_alike(tmp_path, in_halves)


@pytest.mark.slow
def test_the_number_of_processes_may_change_at_a_restart(tmp_path: Path) -> None:
    """Two processes, then one, then four; micro-batches of 3 throughout."""
    run(tmp_path / "undisturbed", tokens_per_device=3)
    reached, changing, order = [0], tmp_path / "changing", []
    for processes, batches in [(2, 18), (1, 80), (4, None)]:
        die = [["batch", batches, "SIGTERM", 0]] if batches else None
        run(changing, processes=processes, die=die, tokens_per_device=3)
        newest = max((changing / "checkpoints").glob("step-*/state.json"))
        reached.append(json.loads(newest.read_text())["step"])
        # what was fetched beyond the last step of a start is fetched again by the next one
        order += served(changing, processes, micro_batch=3)[: BATCH * (reached[-1] - reached[-2])]
    assert 0 < reached[1] < reached[2] < reached[3] == STEPS
    assert order == served(tmp_path / "undisturbed", 1, micro_batch=3)[: BATCH * STEPS]
    assert_ends_alike(changing, tmp_path / "undisturbed")


def assert_ends_alike(one: Path, other: Path) -> None:
    """Gradients were added in another order, so up to the last bits of fp32."""
    (weights, state), (expected, expected_state) = end(one), end(other)
    curve, expected_curve = state["curves"], expected_state["curves"]
    assert [point[:2] for point in curve] == [point[:2] for point in expected_curve]
    assert [point[2] for point in curve] == pytest.approx([point[2] for point in expected_curve], rel=1e-6)
    tensors = load(expected)
    for name, value in load(weights).items():
        torch.testing.assert_close(value, tensors[name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    "machine", [{}, {"workers": 2}, {"tokens_per_device": 3}], ids=["plain", "workers", "accumulation"]
)
def test_any_kill_anywhere(tmp_path: Path, processes: int, machine: dict[str, Any]) -> None:
    """Runs cut three times each, by any signal, at any place, in any process; then left to end."""
    run(tmp_path / "whole", processes=processes, **machine)
    for number in range(2):
        draw = random.Random(f"{number} {processes} {machine}")
        cut = tmp_path / f"cut-{number}"
        for _ in range(3):
            # with workers batches are made in other processes, whose death is not the run's
            place = draw.choice(["valid", "save"] if "workers" in machine else ["batch", "valid", "save"])
            name = draw.choice(["SIGKILL", "SIGTERM", "SIGUSR1"])
            rank = 0 if place == "save" else draw.randrange(processes)
            run(cut, processes=processes, die=[[place, draw.randint(1, 20), name, rank]], **machine)
        run(cut, processes=processes, **machine)
        assert end(cut) == end(tmp_path / "whole")
