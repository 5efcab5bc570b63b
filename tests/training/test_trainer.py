"""The loop: same seed same bits, exact resume after any kill, devices and accumulation change nothing."""

import inspect
import json
import math
import os
import signal
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from safetensors.torch import load_file

from seedbed.config import Machine, UserError
from seedbed.process import stopping
from seedbed.training import checkpoint, predict_scores
from seedbed.training.module import Plan
from seedbed.training.recipe import accumulation
from seedbed.training.trainer import _lightning_trainer
from tests.training.toy import Regression, Sums, fit, recipe


def weights(learner: Regression) -> list[bytes]:
    return [value.numpy().tobytes() for value in learner.state_dict().values()]


def test_same_seed_same_bits_and_the_loss_falls(tmp_path: Path) -> None:
    first, trained, data = fit(tmp_path / "a")
    second, again, _ = fit(tmp_path / "b")
    assert weights(first) == weights(second)
    assert trained.curves == again.curves
    losses = [value for _, name, value in trained.curves if name == "train/loss"]
    assert losses[-1] < losses[0] / 2
    assert {step for step, name, _ in trained.curves if name == "valid/loss"} == {0, 11, 22, 33, 40}
    assert len(data.served) == 40 * 12


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    assert weights(fit(tmp_path / "a")[0]) != weights(fit(tmp_path / "b", seed=6)[0])


def test_bf16_trains_too(tmp_path: Path) -> None:
    _, trained, _ = fit(tmp_path, precision="bf16")
    losses = [value for _, name, value in trained.curves if name == "train/loss"]
    assert losses[-1] < losses[0] / 2


def test_the_gradient_is_clipped_by_its_global_norm(tmp_path: Path) -> None:
    """Plain steps of Adam do not feel the scale of a gradient; its moments do."""
    fit(tmp_path, gradient_clip=1e-3, max_steps=1)
    state = load_file(next(tmp_path.rglob("state.safetensors")))
    moments = [value for name, value in state.items() if name.endswith("exp_avg")]
    norm = torch.cat([value.flatten() for value in moments]).norm().item()
    assert norm == pytest.approx(0.1 * 1e-3, rel=1e-4)  # (1 - beta1) times the clipped gradient


def test_a_finished_run_is_restored_not_trained_again(tmp_path: Path) -> None:
    learner, trained, _ = fit(tmp_path)
    again, restored, data = fit(tmp_path)
    assert weights(learner) == weights(again) and trained.curves == restored.curves
    assert data.served == []


def test_stop_signals_are_again_whose_they_were(tmp_path: Path) -> None:
    fit(tmp_path / "alone")
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    with stopping(signal.SIGTERM, signal.SIGUSR1):
        of_program = signal.getsignal(signal.SIGTERM)
        fit(tmp_path / "in a program")
        assert signal.getsignal(signal.SIGTERM) is signal.getsignal(signal.SIGUSR1) is of_program


def test_ctrl_c_is_no_silent_exit(tmp_path: Path) -> None:
    class Pressed(Sums):
        def batch(self, first: int, count: int) -> dict[str, torch.Tensor]:
            if len(self.served) >= 60:
                os.kill(os.getpid(), signal.SIGINT)
            return super().batch(first, count)

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, data=Pressed())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    expected, _, _ = fit(tmp_path / "whole")
    fit(tmp_path / "cut")
    newest = sorted((tmp_path / "cut/checkpoints").glob("step-*"))[-1] / "state.safetensors"
    raw = bytearray(newest.read_bytes())
    raw[-1] ^= 1
    newest.write_bytes(raw)
    resumed, _, data = fit(tmp_path / "cut")
    assert len(data.served) == 12
    assert weights(resumed) == weights(expected)


def test_checkpoints_hold_json_and_safetensors_only(tmp_path: Path) -> None:
    fit(tmp_path)
    files = sorted(path.name for path in (tmp_path / "checkpoints").rglob("*") if path.is_file())
    assert files == ["elapsed.json", *sorted(["state.json", "state.safetensors"] * checkpoint.KEEP)]
    state = json.loads(next((tmp_path / "checkpoints").rglob("state.json")).read_text())
    assert state["step"] in (39, 40)


def test_accumulation_equals_the_big_batch(tmp_path: Path) -> None:
    """Without dropout, 3 micro-batches of 4 give the gradient of one batch of 12."""
    torch.set_num_threads(1)
    no_dropout = Regression.predict

    def plain(self: Regression, features: torch.Tensor) -> torch.Tensor:
        self.eval()
        return no_dropout(self, features)

    Regression.predict = plain  # type: ignore[method-assign]
    try:
        big, _, data = fit(tmp_path / "big")
        machine = Machine(threads=1, tokens_per_device=4)
        small, _, same = fit(tmp_path / "small", machine=machine)
    finally:
        Regression.predict = no_dropout  # type: ignore[method-assign]
    assert data.served == same.served
    for one, other in zip(big.parameters(), small.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_diverging_loss_stops_with_the_step(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"toy: the loss of step \d+ is not finite; its batch: sum \d+, .* and 4 more; the last good",
    ):
        fit(tmp_path, optimizer={"name": "adamw", "learning_rate": 1e38}, gradient_clip=1e38)


def test_a_wrong_number_of_processes_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 devices x 1 nodes, but 1 process was started"):
        fit(tmp_path, machine=Machine(devices=2))


def test_indivisible_batches_are_told_with_the_numbers() -> None:
    with pytest.raises(UserError, match=r"global_batch_size 12 does not divide over 5 devices x 1 nodes"):
        accumulation(recipe(), Machine(devices=5), 1, "run")
    with pytest.raises(UserError, match=r"one example of 99 tokens is more than tokens_per_device 10"):
        accumulation(recipe(), Machine(tokens_per_device=10), 99, "run")
    assert accumulation(recipe(), Machine(tokens_per_device=4), 1, "run") == 3
    assert accumulation(recipe(), Machine(tokens_per_device=5), 1, "run") == 3


def test_scores_are_of_all_examples() -> None:
    learner, data = Regression(), Sums()
    results = predict_scores(learner, data.valid(), precision="fp32").results()
    whole = next(iter([data._examples(torch.arange(64))]))
    expected = (learner.eval().predict(whole["features"]) - whole["labels"]).square().mean()
    assert math.isclose(results["loss"], expected.item(), rel_tol=1e-6)


def test_no_batch_asks_over_the_devices_whether_to_stop() -> None:
    """The method that is replaced must be the one that Lightning calls: a new release may rename it."""
    asks = "self._broadcast_sigterm_tensor()"
    assert asks in inspect.getsource(_TrainingEpochLoop.advance)
    plan = Plan.divide(12, world_size=1, rank=0, accumulation=1, start_step=0)
    trainer = _lightning_trainer(recipe(), plan, Machine(), Callback())
    assert trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor.__module__ == "seedbed.training.trainer"
