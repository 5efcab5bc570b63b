"""Weights cut over two processes train as whole ones do, and stop and go on like any others."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from pydantic import TypeAdapter
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh

from seedbed.config import Machine, UserError
from seedbed.training.module import clip_gradients
from seedbed.training.optim import Optimizer
from seedbed.training.sharding import gather_weights, shard
from tests.training.optim.kinds import KINDS
from tests.training.processes import STEPS, assert_ends_alike, end, joined, reached, run, served
from tests.training.toy import Regression, Sums, fit

FSDP = {"processes": 2, "strategy": "fsdp", "tokens_per_device": 6}
AVERAGED = {"averaging": {"name": "ema", "decay": 0.8}}


@pytest.fixture(scope="module")
def in_halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process in micro-batches of 6: what two processes with 6 each must equal."""
    scratch = tmp_path_factory.mktemp("halves")
    run(scratch, tokens_per_device=6, recipe=AVERAGED)
    return scratch


def test_stopped_on_two_processes_and_ended_on_one(tmp_path: Path, in_halves: Path) -> None:
    """With blocks computed again and an average of the weights, neither of which stops at the border."""
    run(tmp_path, die=[["batch", 20, "SIGTERM", 1]], activation_checkpointing=True, recipe=AVERAGED, **FSDP)
    files = sorted(path.name for path in max((tmp_path / "checkpoints").glob("step-*")).iterdir())
    assert files == [f"state-0000{rank}-of-00002.safetensors" for rank in (0, 1)] + ["state.json"]
    assert 0 < reached(tmp_path) < STEPS
    run(tmp_path, tokens_per_device=6, recipe=AVERAGED)
    assert_ends_alike(tmp_path, in_halves)
    assert any(name.startswith("average/") for name in joined(tmp_path))


def test_every_optimizer_steps_alike_on_whole_and_on_sharded_weights(tmp_path: Path) -> None:
    """Clipped, and with the trust ratios of LAMB, which are of whole matrices."""
    torch.multiprocessing.spawn(_step_by_step, args=(tmp_path,), nprocs=2)


def _step_by_step(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name in sorted(KINDS.keys() - {"muon"}):  # in one order in both processes
        config = TypeAdapter(Optimizer).validate_python({"name": name, **KINDS[name]})
        learner, sharded, twin = Regression().eval(), Regression().eval(), Regression()
        shard(sharded, init_device_mesh("cpu", (2,)))
        optimizers = [config.build(learner), config.build(sharded)]
        for step in range(5):
            batch = Sums().batch(12 * step, 12)
            for network, optimizer in zip((learner, sharded), optimizers, strict=True):
                network.whole_loss(batch)["loss"].backward()
                clip_gradients(network, 0.5)
                optimizer.step()
                optimizer.zero_grad()
        gather_weights(sharded, into=twin)
        for one, other in zip(learner.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6, msg=f"{name} differs")
        assert not torch.equal(twin.first.weight, Regression().first.weight)
    dist.barrier()
    dist.destroy_process_group()


def test_an_optimizer_of_whole_matrices_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seedbed.training.trainer.rank_and_world", lambda: (0, 2))
    with pytest.raises(
        UserError, match="optimizer muon takes each matrix as a whole, and strategy fsdp cuts"
    ):
        fit(
            tmp_path,
            machine=Machine(devices=2, strategy="fsdp", threads=1),
            optimizer={"name": "muon", **KINDS["muon"]},
        )


@pytest.mark.slow
def test_sharded_weights_end_as_whole_ones_do(tmp_path: Path) -> None:
    """The same two processes, the same micro-batches, with weights whole and cut."""
    run(tmp_path / "ddp", processes=2, tokens_per_device=6)
    run(tmp_path / "fsdp", **FSDP)
    assert served(tmp_path / "fsdp", 2, micro_batch=6) == served(tmp_path / "ddp", 2, micro_batch=6)
    expected = load_file(tmp_path / "ddp/weights-0.safetensors")
    for rank in (0, 1):
        found = load_file(tmp_path / f"fsdp/weights-{rank}.safetensors")
        assert found.keys() == expected.keys()
        for name, value in found.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-6)
    for name, value in joined(tmp_path / "fsdp").items():
        torch.testing.assert_close(value, joined(tmp_path / "ddp")[name], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_begun_on_one_process_and_ended_sharded_on_two(tmp_path: Path, in_halves: Path) -> None:
    run(tmp_path, die=[["batch", 20, "SIGUSR1", 0]], tokens_per_device=6, recipe=AVERAGED)
    assert 0 < reached(tmp_path) < STEPS
    run(tmp_path, recipe=AVERAGED, **FSDP)
    assert_ends_alike(tmp_path, in_halves)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sharded run that nothing disturbed."""
    scratch = tmp_path_factory.mktemp("sharded")
    run(scratch, recipe=AVERAGED, **FSDP)
    return scratch


@pytest.mark.slow
@pytest.mark.parametrize(
    "die",
    [
        ["batch", 24, "SIGKILL", 1],
        ["batch", 12, "SIGTERM", 0],
        ["valid", 9, "SIGUSR1", 1],
        ["valid", 7, "SIGKILL", 0],
        ["save", 14, "SIGKILL", 0],
        ["save", 9, "SIGKILL", 1],
        ["save", 5, "SIGTERM", 1],
    ],
    ids=lambda die: "-".join(map(str, die)),
)
def test_killed_sharded_and_restarted_ends_bit_identical(
    tmp_path: Path, whole_run: Path, die: list[Any]
) -> None:
    assert run(tmp_path, die=[die], recipe=AVERAGED, **FSDP) != 0
    assert reached(tmp_path) < STEPS
    run(tmp_path, recipe=AVERAGED, **FSDP)
    assert end(tmp_path) == end(whole_run)
