"""Against torch's ReduceLROnPlateau, on curves made at random."""

import itertools

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from seedbed.config import UserError
from seedbed.training.schedules import PlateauConfig
from tests.training.schedules.curves import schedule

EVERY = 10


def drawn(seed: int, count: int = 60) -> list[float]:
    """A curve that falls for a while and then wanders, with repeats and a gap."""
    generator = np.random.default_rng(seed)
    steps = np.where(np.arange(count) < 15, -0.1, 0.0) + generator.normal(0, 0.05, count)
    values = np.round(1 + steps.cumsum(), 2)
    values[generator.integers(count)] = np.nan
    return [float(value) for value in values]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(("patience", "cooldown"), [(0, 0), (1, 0), (3, 2), (0, 3)])
def test_it_is_torchs(mode: str, threshold_mode: str, patience: int, cooldown: int) -> None:
    for seed, threshold, min_factor in itertools.product(range(4), (0.0, 0.05), (0.0, 0.03)):
        own = schedule(
            PlateauConfig, metric="valid/loss", mode=mode, gamma=0.3, patience=patience, threshold=threshold,
            threshold_mode=threshold_mode, cooldown=cooldown, min_factor=min_factor,
        )  # fmt: skip
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        reference = lr_scheduler.ReduceLROnPlateau(
            optimizer, mode=mode, factor=0.3, patience=patience, threshold=threshold,
            threshold_mode=threshold_mode, cooldown=cooldown, min_lr=min_factor, eps=0.0,
        )  # fmt: skip
        history: list[tuple[int, str, float]] = []
        fell = 0
        for number, value in enumerate(drawn(seed)):
            history += [(number * EVERY, "train/loss", 0.5), (number * EVERY, "valid/loss", value)]
            reference.step(value)
            rate = optimizer.param_groups[0]["lr"]
            fell += rate < 1
            for step in range(number * EVERY, (number + 1) * EVERY):
                assert own.factor(step, 600, history=history) == pytest.approx(rate, abs=1e-12)
        assert fell


def test_validations_of_the_warmup_do_not_count() -> None:
    own = schedule(PlateauConfig, metric="valid/loss", mode="min", gamma=0.5, patience=0, warmup_steps=20)
    history = [(0, "valid/loss", 0.1), (10, "valid/loss", 0.2), (20, "valid/loss", 3.0)]
    assert own.factor(20, 100, history=history) == 1.0
    assert own.factor(30, 100, history=[*history, (30, "valid/loss", 3.0)]) == 0.5


def test_what_comes_later_changes_nothing() -> None:
    own = schedule(PlateauConfig, metric="valid/loss", mode="min", gamma=0.5, patience=0)
    history = [(step, "valid/loss", 1.0) for step in range(0, 100, 10)]
    assert [own.factor(step, 100, history=history) for step in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]


def test_a_metric_that_no_validation_gives_is_told() -> None:
    own = schedule(PlateauConfig, metric="valid/los", mode="min", gamma=0.5, patience=0, warmup_steps=5)
    with pytest.raises(UserError, match="got 'valid/los', the validation gives valid/loss, valid/accuracy"):
        own.factor(0, 100, history=[(0, "train/x", 1.0), (0, "valid/loss", 1.0), (0, "valid/accuracy", 1.0)])
    with pytest.raises(UserError, match="the validation gives nothing"):
        own.factor(0, 100)
