"""N-BEATS: the bases by hand, the doubly residual sum, masks, sharing of weights and repeatability."""

import math

import pytest
import torch

from seedbed.config import UserError
from seedbed.models.nbeats import (
    Block,
    GenericBasis,
    GenericConfig,
    NBEATSConfig,
    SeasonalityConfig,
    TrendBasis,
    TrendConfig,
    powers,
    waves,
)

GENERIC = [{"name": "generic", "blocks": 3, "width": 16, "theta_size": 5}] * 2
INTERPRETABLE = [
    {"name": "trend", "blocks": 3, "width": 16, "degree": 2},
    {"name": "seasonality", "blocks": 3, "width": 16},
]
LOOKBACK, HORIZON = 12, 6


def config(stacks: list[dict[str, object]]) -> NBEATSConfig:
    return NBEATSConfig.parse({"name": "nbeats", "stacks": stacks}, "model")


def windows(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    insample_BT = torch.randn(7, LOOKBACK, generator=generator)
    mask_BT = (torch.arange(LOOKBACK)[None, :] >= torch.arange(7)[:, None]).float()
    return insample_BT * mask_BT, mask_BT


def test_bases_are_those_of_section_3_3() -> None:
    assert powers(4, 2).tolist() == [[1, 1, 1, 1], [0, 0.25, 0.5, 0.75], [0, 0.0625, 0.25, 0.5625]]
    expected = [[1] * 4, [1, 0, -1, 0], [0, 1, 0, -1]]
    assert torch.allclose(waves(4, 1), torch.tensor(expected, dtype=torch.float64), atol=1e-12)
    assert waves(18, 8)[3, 5].item() == pytest.approx(math.cos(2 * math.pi * 3 * 5 / 18))
    # floor(H / 2 - 1) harmonics by default, of both sines and cosines, and a constant
    sizes = {
        horizon: SeasonalityConfig(name="seasonality").basis(lookback=2 * horizon, horizon=horizon).theta_size
        for horizon in (1, 4, 6, 13, 18)
    }
    assert sizes == {1: 1, 4: 3, 6: 5, 13: 11, 18: 17}
    assert TrendConfig(name="trend", degree=3).basis(lookback=8, horizon=4).theta_size == 4


def test_a_trend_block_returns_the_polynomial_of_its_theta() -> None:
    basis = TrendBasis(lookback=10, horizon=5, degree=2)
    theta_BK = torch.tensor([[1.0, 2.0, -3.0]])
    time = torch.arange(5) / 5
    assert torch.allclose(basis.forecast(theta_BK)[0], 1 + 2 * time - 3 * time**2)


@pytest.mark.parametrize("stacks", [GENERIC, INTERPRETABLE])
def test_components_sum_to_the_forecast(stacks: list[dict[str, object]]) -> None:
    network = config(stacks).build(lookback=LOOKBACK, horizon=HORIZON, seed=3).double()
    insample_BT, mask_BT = (tensor.double() for tensor in windows())
    shares_SBH = network.components(insample_BT, mask_BT)
    assert shares_SBH.shape == (2, 7, HORIZON)
    assert (shares_SBH.sum(0) - network(insample_BT, mask_BT)).abs().max() <= 1e-6


def test_each_block_sees_what_the_one_before_left() -> None:
    """The recursion of section 3.2, written out once more."""
    network = config(GENERIC).build(lookback=LOOKBACK, horizon=HORIZON, seed=3)
    insample_BT, mask_BT = windows()
    residual_BT, forecast_BH = insample_BT, torch.zeros(7, HORIZON)
    blocks = [block for stack in network.stacks for block in stack.blocks]
    assert len(blocks) == 6
    for block in blocks:
        assert isinstance(block, Block)
        hidden = residual_BT
        for layer in block.layers:
            hidden = torch.clamp(layer(hidden), min=0)
        forecast_BH = forecast_BH + block.forecast(hidden @ block.theta_forecast.weight.T)
        if block.backcast is not None:
            assert block.theta_backcast is not None
            residual_BT = residual_BT - block.backcast(hidden @ block.theta_backcast.weight.T)
            residual_BT = residual_BT * mask_BT
    assert torch.allclose(network(insample_BT, mask_BT), forecast_BH, atol=1e-6)


@pytest.mark.parametrize("stacks", [GENERIC, INTERPRETABLE])
def test_what_stands_in_the_padding_does_not_matter(stacks: list[dict[str, object]]) -> None:
    network = config(stacks).build(lookback=LOOKBACK, horizon=HORIZON, seed=3)
    insample_BT, mask_BT = windows()
    garbage_BT = insample_BT + (1 - mask_BT) * 1e3
    assert torch.equal(network(insample_BT, mask_BT), network(garbage_BT, mask_BT))


def test_interpretable_stacks_share_their_weights() -> None:
    shared = config(INTERPRETABLE).build(lookback=LOOKBACK, horizon=HORIZON, seed=3)
    assert [len(stack.blocks) for stack in shared.stacks] == [1, 1]
    apart = [{**stack, "share_weights": False} for stack in INTERPRETABLE]
    assert [len(stack.blocks) for stack in config(apart).build(lookback=12, horizon=6, seed=3).stacks] == [
        3,
        3,
    ]


def test_a_seed_gives_the_weights_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (
        config(GENERIC).build(lookback=LOOKBACK, horizon=HORIZON, seed=seed).state_dict()
        for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_fixed_bases_are_not_saved() -> None:
    names = config(INTERPRETABLE).build(lookback=LOOKBACK, horizon=HORIZON, seed=3).state_dict()
    assert not [name for name in names if "vectors" in name]


def test_component_names_number_what_occurs_twice() -> None:
    assert config(INTERPRETABLE).component_names() == ("trend", "seasonality")
    assert config(GENERIC).component_names() == ("generic_1", "generic_2")


def test_faulty_configurations_are_told_in_one_line() -> None:
    assert GenericConfig(name="generic").basis(lookback=8, horizon=4).theta_size == 32
    assert isinstance(GenericConfig(name="generic").basis(lookback=8, horizon=4), GenericBasis)
    with pytest.raises(UserError, match="stacks"):
        config([])
    with pytest.raises(UserError, match="degree"):
        config([{"name": "trend", "degree": -1}])
    with pytest.raises(UserError, match="wavelet"):
        config([{"name": "wavelet"}])
