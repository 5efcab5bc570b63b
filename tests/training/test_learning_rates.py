"""Every optimizer, and the schedule that follows validations, through the loop: stopped and continued to the same bits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seedbed.config import UserError
from seedbed.tracking import SilentRun
from tests.training.optim.kinds import KINDS
from tests.training.toy import Regression, Sums, fit


class Stopped(Exception):
    """Raised from the data in the middle of a run."""


def interrupted(monkeypatch: pytest.MonkeyPatch, scratch: Path, step: int, **changes: Any) -> None:
    original = Sums.batch

    def stopping(self: Sums, first: int, count: int) -> dict[str, Tensor]:
        if first >= step * 12:
            raise Stopped
        return original(self, first, count)

    with monkeypatch.context() as patch:
        patch.setattr(Sums, "batch", stopping)
        with pytest.raises(Stopped):
            fit(scratch, **changes)


def same(one: Regression, other: Regression) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", KINDS)
def test_an_optimizer_continues_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"optimizer": {"name": name, **KINDS[name]}}
    whole, trained, _ = fit(tmp_path / "whole", **changes)
    interrupted(monkeypatch, tmp_path / "cut", 23, **changes)
    resumed, again, data = fit(tmp_path / "cut", **changes)
    assert same(resumed, whole) and again.curves == trained.curves
    assert 0 < len(data.served) <= 18 * 12
    losses = [value for _, metric, value in trained.curves if metric == "valid/loss"]
    assert losses[-1] < losses[0] * 0.9


PLATEAU = {
    "name": "plateau", "metric": "valid/loss", "mode": "min", "gamma": 0.5, "patience": 0, "threshold": 0.2,
    "warmup_steps": 3,
}  # fmt: skip


class Rates(SilentRun):
    """Keeps the learning rates that are tracked."""

    def __init__(self) -> None:
        self.found: dict[int, float] = {}
        self.params: dict[str, object] = {}

    def log_metrics(self, metrics: Any, step: int = 0) -> None:
        if "learning_rate" in metrics:
            self.found[step] = metrics["learning_rate"]

    def log_params(self, params: Any) -> None:
        self.params |= params


@pytest.mark.parametrize("stop", [12, 29])
def test_a_plateau_is_seen_again_after_a_resume(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"schedule": PLATEAU, "validate_every": 2, "log_every": 1}
    rates, again = Rates(), Rates()
    whole, trained, _ = fit(tmp_path / "whole", tracker=rates, **changes)
    interrupted(monkeypatch, tmp_path / "cut", stop, **changes)
    resumed, continued, _ = fit(tmp_path / "cut", tracker=again, **changes)
    assert same(resumed, whole) and continued.curves == trained.curves
    assert again.found == {step: rate for step, rate in rates.found.items() if step in again.found}
    assert len(set(rates.found.values())) > 4 and rates.found[40] < rates.found[4]


def test_a_plateau_of_an_unknown_metric_ends_the_run_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"schedule.metric: got 'valid/acc', the validation gives valid/loss"):
        fit(tmp_path, schedule=PLATEAU | {"metric": "valid/acc"})


def test_linear_scaling_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rates = Rates()
    optimizer = {"name": "sgd", "learning_rate": 0.01, "reference_batch_size": 4}
    fit(tmp_path, tracker=rates, optimizer=optimizer, schedule={"name": "constant"})
    said = "toy: learning_rate 0.03 = 0.01 x global_batch_size 12 / reference_batch_size 4"
    assert said in capsys.readouterr().out.splitlines()
    assert rates.params == {"scaled_learning_rate": pytest.approx(0.03)}
    assert list(rates.found.values()) == pytest.approx([0.03] * 6)


def test_layer_decay_of_a_learner_without_layers_is_told_before_any_step(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"optimizer.layer_decay: it needs one encoder"):
        fit(tmp_path, optimizer={"name": "adamw", "learning_rate": 0.1, "layer_decay": {"rate": 0.8}})
