"""Networks on windows: shapes, padding, causality of the whole lookback, seeds."""

import pytest
import torch

from seedbed.models.windowed import GRUConfig, LSTMConfig, MLPConfig, RNNConfig, TCNConfig
from seedbed.models.windowed.base import WindowNetworkBase
from seedbed.models.windowed.tcn import CausalBlock

CONFIGS: list[WindowNetworkBase] = [
    MLPConfig(name="mlp", width=16, num_layers=2),
    RNNConfig(name="rnn", hidden_size=8),
    LSTMConfig(name="lstm", hidden_size=8, num_layers=2),
    GRUConfig(name="gru", hidden_size=8),
    TCNConfig(name="tcn", channels=8),
]
LOOKBACK, HORIZON = 24, 5


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_a_forecast_comes_from_all_that_is_known_and_from_nothing_else(config: WindowNetworkBase) -> None:
    network = config.build(lookback=LOOKBACK, horizon=HORIZON, seed=1).double()
    generator = torch.Generator().manual_seed(0)
    window_BT = torch.randn(3, LOOKBACK, generator=generator).double().requires_grad_()
    mask_BT = torch.ones(3, LOOKBACK).double()
    mask_BT[0, :7] = 0
    forecast_BH = network(window_BT, mask_BT)
    assert forecast_BH.shape == (3, HORIZON)
    forecast_BH.abs().sum().backward()
    assert window_BT.grad is not None
    assert torch.equal(window_BT.grad != 0, mask_BT == 1)
    garbage_BT = window_BT.detach() + 1e3 * (1 - mask_BT)
    assert torch.equal(network(garbage_BT, mask_BT), forecast_BH)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_a_seed_gives_the_weights(config: WindowNetworkBase) -> None:
    before = torch.get_rng_state()
    first, again, other = (
        config.build(lookback=LOOKBACK, horizon=HORIZON, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_convolutions_do_not_look_ahead() -> None:
    block = CausalBlock(2, 4, kernel_size=3, dilation=2)
    values_BCT = torch.randn(1, 2, 20, generator=torch.Generator().manual_seed(0))
    changed_BCT = values_BCT.clone()
    changed_BCT[..., 12:] += 1
    before, after = block(values_BCT), block(changed_BCT)
    assert torch.equal(before[..., :12], after[..., :12])
    assert not torch.equal(before[..., 12:], after[..., 12:])
