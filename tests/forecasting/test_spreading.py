"""Members over processes: who trains whom, the same bits as in one process, and what a death leaves."""

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from seedbed.config import Interrupted, Machine, UserError
from seedbed.forecasting import spreading
from seedbed.forecasting.fitting import Fitting
from seedbed.forecasting.spreading import Part, Shares, divide
from seedbed.tracking import SilentRun
from tests.forecasting.spread import STEPS


@pytest.mark.parametrize("members", [2, 7, 8, 90])
@pytest.mark.parametrize("together", [None, 1, 3])
@pytest.mark.parametrize("world_size", [1, 2, 5])
def test_every_member_is_in_one_part_and_shares_are_even(
    members: int, together: int | None, world_size: int
) -> None:
    parts = divide(members, together=together, world_size=world_size)
    covered = [range(members)[part.only] for part in parts]
    assert [one for part in covered for one in part] == list(range(members))
    assert all(len(part) <= (together or members) for part in covered)
    assert [part.rank for part in parts] == sorted(part.rank for part in parts)
    shares = [
        sum(len(own) for own, part in zip(covered, parts, strict=True) if part.rank == rank)
        for rank in range(world_size)
    ]
    assert max(shares) - min(shares) <= 1
    assert all(one.only.stop == two.only.start for one, two in pairwise(parts))


def test_one_part_has_no_label() -> None:
    assert divide(4, together=None, world_size=1) == divide(4, together=9, world_size=1)
    assert divide(4, together=4, world_size=1) == [Part(slice(None), "", 0)]


def fitting(scratch: Path) -> Fitting:
    return Fitting(None, Machine(threads=1), scratch, SilentRun(), "test")


def of_rank(monkeypatch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": str(rank), "WORLD_SIZE": str(world)}.items():
        monkeypatch.setenv(name, value)


def test_what_one_hands_over_another_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []
    for rank in range(2):
        of_rank(monkeypatch, rank, 2)
        shares.append(Shares.of(3, together=None, fitting=fitting(tmp_path)))
    for one in shares:
        [part] = one.own
        ids = torch.arange(3.0)[part.only]
        one.add(part, {"weight": ids}, [(10, "train/loss", float(ids[0]))])
    for one in shares:
        state, curves = one.whole()
        assert state["weight"].tolist() == [0.0, 1.0, 2.0]
        expected = [(10, "members_1_to_1/train/loss", 0.0), (10, "members_2_to_3/train/loss", 1.0)]
        assert curves == expected


def test_fewer_members_than_processes_are_not_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_rank(monkeypatch, 1, 4)
    shares = Shares.of(3, together=2, fitting=fitting(tmp_path))
    assert not shares.alone and shares.own == shares.parts


def test_who_waits_can_be_stopped_and_tells_of_folders_it_cannot_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_rank(monkeypatch, 0, 2)
    shares = Shares.of(2, together=None, fitting=fitting(tmp_path))
    shares.add(shares.own[0], {"weight": torch.zeros(1)}, [])
    monkeypatch.setattr(spreading, "UNSEEN_SECONDS", 0.0)
    with pytest.raises(UserError, match=r"does not see .*members_2_to_2, where process 1 keeps"):
        shares.whole()
    (tmp_path / "members_2_to_2").mkdir()
    monkeypatch.setattr(spreading, "LOOK_SECONDS", 0.0)
    looked: list[float] = []

    def sleep(seconds: float) -> None:
        looked.append(seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(spreading.time, "sleep", sleep)
    with pytest.raises(Interrupted, match="waiting for process 1"):
        shares.whole()
    assert len(looked) == 1


def run(scratch: Path, *, processes: int, stop: list[int] | None = None) -> int:
    scratch.mkdir(exist_ok=True)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "tests.forecasting.spread"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."]), "OMP_NUM_THREADS": "1"}
    settings = json.dumps({"processes": processes, "stop": stop})
    done = subprocess.run(
        [*command, str(scratch), settings], env=environment, timeout=600, capture_output=True, check=False
    )
    assert stop or done.returncode == 0, done.stderr.decode()
    return done.returncode


def end(scratch: Path, rank: int = 0) -> tuple[dict[str, torch.Tensor], Any, list[int]]:
    weights, curves, calls = torch.load(scratch / f"end-{rank}.pt")
    return weights, curves, calls


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("whole")
    run(scratch, processes=1)
    return scratch


@pytest.mark.slow
def test_two_processes_end_with_the_bits_of_one(whole: Path, tmp_path: Path) -> None:
    """And nothing travels: each drew every batch for its own members alone."""
    run(tmp_path, processes=2)
    expected, curves, _ = end(whole)
    for rank in range(2):
        found, _, calls = end(tmp_path, rank)
        assert len(calls) == STEPS
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    last = {name: value for _, name, value in curves}["train/loss"]
    parts = [value for step, name, value in end(tmp_path)[1] if step == STEPS and name.endswith("/loss")]
    assert len(parts) == 2 and sum(parts) == pytest.approx(last, rel=1e-6)


@pytest.mark.slow
def test_after_a_death_the_others_go_on_from_what_they_had(whole: Path, tmp_path: Path) -> None:
    """The second of two dies at its twelfth step; started again, both end with the bits of one process."""
    assert run(tmp_path, processes=2, stop=[1, 12, int(signal.SIGKILL)]) != 0
    run(tmp_path, processes=2)
    expected = end(whole)[0]
    for rank in range(2):
        found, _, calls = end(tmp_path, rank)
        assert len(calls) < STEPS, "it began anew"
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
