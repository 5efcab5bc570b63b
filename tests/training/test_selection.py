"""The best validation's weights: the right step, its very weights, and the same ones after a kill."""

import shutil
from pathlib import Path

import pytest
import torch

from seedbed.config import UserError
from seedbed.training import predict_scores
from seedbed.training.selection import BestConfig
from tests.training.test_learning_rates import interrupted, same
from tests.training.toy import Regression, fit, recipe

FIRST = {"name": "best", "metric": "valid/loss", "mode": "max"}
"""The toy's loss falls, so that the greatest is the untrained network's."""
EARLY = {"name": "adamw", "learning_rate": 0.45}
"""A rate so high that the toy's loss rises again: the best validation lies within the run."""


def best(mode: str = "min") -> BestConfig:
    return BestConfig.parse({"name": "best", "metric": "valid/loss", "mode": mode}, "selection")


@pytest.mark.parametrize(
    ("values", "mode", "step"),
    [
        ((3.0, 2.0, 1.0), "min", 2),
        ((3.0, 1.0, 2.0), "min", 1),
        ((3.0, 1.0, 1.0), "min", 1),  # of two as good ones the first
        ((0.5, 0.9, 0.7), "max", 1),
        ((float("nan"), 2.0, float("nan")), "min", 1),
        ((float("nan"),), "min", None),
        ((), "min", None),
    ],
)
def test_the_rule(values: tuple[float, ...], mode: str, step: int | None) -> None:
    history = [row for s, v in enumerate(values) for row in ((s, "train/loss", -9.0), (s, "valid/loss", v))]
    assert best(mode).step(history) == step


def test_a_metric_that_the_validation_does_not_give_is_told() -> None:
    with pytest.raises(
        UserError, match=r"selection\.metric: got 'valid/loss', the validation gives valid/f1"
    ):
        best().step([(0, "valid/f1", 1.0)])


def within(scratch: Path, **changes: object):
    return fit(
        scratch, validate_every=4, optimizer=EARLY, selection={**FIRST, "mode": "min"}, gradient_clip=1e9,
        schedule={"name": "constant"}, **changes,
    )  # fmt: skip


def test_the_untrained_network_may_be_the_best(tmp_path: Path) -> None:
    learner, trained, _ = fit(tmp_path, validate_every=4, selection=FIRST)
    assert trained.metrics["selected_step"] == 0 and same(learner, Regression())
    assert trained.metrics["valid/loss"] == trained.curves[0][2]


def test_the_best_weights_are_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learner, trained, data = within(tmp_path)
    losses = {step: value for step, name, value in trained.curves if name == "valid/loss"}
    chosen = min(losses, key=lambda step: losses[step])
    assert 0 < chosen < 40, "the test needs a best validation within the run"
    assert trained.metrics["selected_step"] == chosen
    assert trained.metrics["valid/loss"] == losses[chosen]
    assert predict_scores(learner, data.valid(), precision="fp32").results()["loss"] == losses[chosen]
    assert f"toy: kept are the weights of step {chosen} (valid/loss " in capsys.readouterr().out
    # the way itself is that of a run which keeps its last weights
    _, plain, _ = fit(
        tmp_path / "plain", validate_every=4, optimizer=EARLY, gradient_clip=1e9,
        schedule={"name": "constant"},
    )  # fmt: skip
    assert plain.curves == trained.curves and "selected_step" not in plain.metrics
    again, result, unused = within(tmp_path)
    assert unused.served == [] and same(again, learner) and result == trained
    # once more from the checkpoint before the last
    shutil.rmtree(max((tmp_path / "checkpoints").glob("step-*")))
    continued, result, served = within(tmp_path)
    assert 0 < len(served.served) < 40 * 12 and same(continued, learner) and result == trained


@pytest.mark.parametrize("step", [2, 10, 35])
def test_continued_to_the_same_bits(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, trained, _ = within(tmp_path / "whole")
    with monkeypatch.context():
        interrupted(
            monkeypatch, tmp_path / "cut", step, validate_every=4, optimizer=EARLY, gradient_clip=1e9,
            schedule={"name": "constant"}, selection={**FIRST, "mode": "min"},
        )  # fmt: skip
    resumed, again, data = within(tmp_path / "cut")
    assert 0 < len(data.served) < 40 * 12 and same(resumed, whole) and again == trained


def test_stopping_ends_with_the_best(tmp_path: Path) -> None:
    patience = {"name": "patience", "metric": "valid/loss", "mode": "min", "patience": 2}
    learner, trained, data = within(tmp_path, stopping=patience)
    losses = {step: value for step, name, value in trained.curves if name == "valid/loss"}
    assert max(losses) == trained.metrics["selected_step"] + 8, "two validations later"
    found = predict_scores(learner, data.valid(), precision="fp32").results()["loss"]
    assert found == min(losses.values())


def test_what_is_validated_is_what_is_kept(tmp_path: Path) -> None:
    """With averages these are scored, so they are chosen among."""
    learner, trained, data = fit(
        tmp_path,
        validate_every=4,
        averaging={"name": "ema", "decay": 0.9},
        selection={**FIRST, "mode": "min"},
    )
    found = predict_scores(learner, data.valid(), precision="fp32").results()["loss"]
    assert found == trained.metrics["valid/loss"] == min(v for _, n, v in trained.curves if n == "valid/loss")
    assert all(torch.isfinite(parameter).all() for parameter in learner.parameters())


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(UserError, match="selection is among validations"):
        recipe(selection=FIRST, validate_every=0)
    with pytest.raises(UserError, match="averaging last_n begins near max_steps"):
        recipe(selection=FIRST, averaging={"name": "last_n", "count": 2, "every_steps": 5})
