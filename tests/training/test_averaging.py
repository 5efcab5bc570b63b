"""Averages of weights: those of the papers and of torch, validated, saved, and continued to the same bits."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from seedbed.config import UserError
from seedbed.training import predict_scores
from seedbed.training.averaging import Average, AveragingBase, EMAConfig, LastNConfig
from tests.training.test_learning_rates import interrupted, same
from tests.training.toy import Regression, Sums, fit, recipe

EMA = {"name": "ema", "decay": 0.9, "warmup": True}
LAST = {"name": "last_n", "count": 3, "every_steps": 7}


def path(config: AveragingBase, steps: int) -> tuple[Average, list[torch.Tensor]]:
    """An average over random weights, and these."""
    module, generator = nn.Linear(3, 2), torch.Generator().manual_seed(0)
    average, weights = Average(config, module, max_steps=steps), []
    for step in range(1, steps + 1):
        for parameter in module.parameters():
            nn.init.normal_(parameter, generator=generator)
        weights.append(module.weight.detach().clone())
        average.update(step)
    return average, weights


def test_ema_is_torchs() -> None:
    module, generator = nn.Linear(3, 2), torch.Generator().manual_seed(0)
    reference = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average, weights = path(EMAConfig(name="ema", decay=0.9, warmup=False), 20)
    for _ in weights:
        for parameter in module.parameters():
            nn.init.normal_(parameter, generator=generator)
        reference.update_parameters(module)
    expected = dict(reference.module.named_parameters())
    for name, value in average.tensors.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-7)


def test_ema_warms_up_as_tensorflows() -> None:
    config = EMAConfig(name="ema", decay=0.5, warmup=True)
    shares = [config.share(step, max_steps=100) for step in range(1, 13)]
    assert shares[:3] == [1.0, 1 - 2 / 11, 1 - 3 / 12]
    assert shares[8:] == pytest.approx([1 - 9 / 18, 0.5, 0.5, 0.5])


def test_last_n_is_the_mean_of_the_end_and_of_steps_before() -> None:
    average, weights = path(LastNConfig(name="last_n", count=3, every_steps=7), 20)
    expected = torch.stack([weights[step - 1] for step in (6, 13, 20)]).mean(0)
    torch.testing.assert_close(average.tensors["weight"], expected, rtol=1e-6, atol=1e-7)


def test_the_average_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    plain, trained_plain, _ = fit(tmp_path / "plain")
    for changes in (EMA, LAST):
        learner, trained, data = fit(tmp_path / changes["name"], averaging=changes)
        assert not same(learner, plain)
        found = predict_scores(learner, data.valid(), precision="fp32").results()["loss"]
        assert trained.metrics["valid/loss"] == found
        # training itself is what it was: losses of the steps are of the weights, not of their average
        losses = [point for point in trained.curves if point[1] == "train/loss"]
        assert losses == [point for point in trained_plain.curves if point[1] == "train/loss"]
        again, _, served = fit(tmp_path / changes["name"], averaging=changes)
        assert same(again, learner) and served.served == [], "a finished run gives the average too"


@pytest.mark.parametrize(
    ("changes", "step"), [*itertools.product([EMA], [23]), *itertools.product([LAST], [10, 35])]
)
def test_continued_to_the_same_bits(
    changes: dict[str, object], step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, trained, _ = fit(tmp_path / "whole", averaging=changes)
    interrupted(monkeypatch, tmp_path / "cut", step, averaging=changes)
    resumed, again, data = fit(tmp_path / "cut", averaging=changes)
    assert 0 < len(data.served) < 40 * 12
    assert same(resumed, whole) and again.curves == trained.curves


def test_swapping_twice_changes_no_bit() -> None:
    module = Regression()
    average = Average(EMAConfig(name="ema", decay=0.9), module, max_steps=9)
    average.update(1)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    moved = [parameter.detach().clone() for parameter in module.parameters()]
    with average.in_place(1):
        assert all(map(torch.equal, module.parameters(), before))
        predict_scores(module, Sums().valid(), precision="fp32")
    assert all(map(torch.equal, module.parameters(), moved))


def test_more_weights_than_steps_are_refused() -> None:
    with pytest.raises(UserError, match="averaging reaches 16 steps further back than max_steps 40"):
        recipe(averaging={"name": "last_n", "count": 12, "every_steps": 5})
