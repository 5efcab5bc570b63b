"""Killed anywhere and started again, on the same number of processes or another, a run ends the same."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.training.processes import BATCH, STEPS, assert_ends_alike, end, reached, run, served


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
    at, changing, order = [0], tmp_path / "changing", []
    for processes, batches in [(2, 18), (1, 80), (4, None)]:
        die = [["batch", batches, "SIGTERM", 0]] if batches else None
        run(changing, processes=processes, die=die, tokens_per_device=3)
        at.append(reached(changing))
        # what was fetched beyond the last step of a start is fetched again by the next one
        order += served(changing, processes, micro_batch=3)[: BATCH * (at[-1] - at[-2])]
    assert 0 < at[1] < at[2] < at[3] == STEPS
    assert order == served(tmp_path / "undisturbed", 1, micro_batch=3)[: BATCH * STEPS]
    assert_ends_alike(changing, tmp_path / "undisturbed")


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
