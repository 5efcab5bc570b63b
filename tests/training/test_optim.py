"""AdamW's groups and the schedules' values."""

import pytest
import torch
from torch import nn

from seedbed.training.optim import AdamWConfig
from seedbed.training.schedules import ConstantConfig, LinearConfig, StepsConfig


def test_no_decay_on_biases_and_norms() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2), nn.LayerNorm(2))
    groups = AdamWConfig(name="adamw", learning_rate=1e-3).build(module).param_groups
    decayed = {id(p) for p in groups[0]["params"]}
    assert groups[0]["weight_decay"] == 0.01 and groups[1]["weight_decay"] == 0.0
    for name, parameter in module.named_parameters():
        assert (id(parameter) in decayed) == (name in ("0.weight", "1.weight")), name


def test_one_step_is_adamw_by_hand() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    optimizer = AdamWConfig(name="adamw", learning_rate=0.1, weight_decay=0.5, epsilon=1e-8).build(layer)
    layer(torch.tensor([[3.0]])).sum().backward()
    optimizer.step()
    # decay 2 - 0.1*0.5*2, then lr * sign(gradient): the first Adam step has size lr
    assert layer.weight.item() == pytest.approx(2.0 - 0.1 - 0.1, abs=1e-6)


def test_linear_warms_up_and_falls_to_zero() -> None:
    schedule = LinearConfig(name="linear", warmup_steps=4)
    factors = [schedule.factor(step, 10) for step in range(11)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[10] == 0.0 and factors[7] == pytest.approx(0.5)
    assert all(factor > 0 for factor in factors[:10])


def test_constant_and_steps() -> None:
    assert ConstantConfig(name="constant").factor(3, 10) == 1.0
    schedule = StepsConfig(name="steps", num_decays=3)
    assert [schedule.factor(step, 8) for step in range(8)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
