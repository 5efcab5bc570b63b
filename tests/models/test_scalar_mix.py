"""The mix of layers, by hand."""

import numpy as np
import pytest
import torch

from seedbed.models.scalar_mix import ScalarMix, ScalarMixConfig


def layers() -> torch.Tensor:
    return torch.randn((3, 2, 5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_it_begins_as_the_mean() -> None:
    mix = ScalarMix(ScalarMixConfig(), 3).double()
    torch.testing.assert_close(mix(layers()), layers().mean(0), rtol=0, atol=1e-12)


def test_equation_1() -> None:
    mix = ScalarMix(ScalarMixConfig(), 3).double()
    with torch.no_grad():
        mix.weights.copy_(torch.tensor([0.3, -1.0, 2.0]))
        mix.scale.fill_(1.7)
    shares = np.exp([0.3, -1.0, 2.0]) / np.exp([0.3, -1.0, 2.0]).sum()
    expected = 1.7 * sum(share * layer for share, layer in zip(shares, layers().numpy(), strict=True))
    np.testing.assert_allclose(mix(layers()).detach().numpy(), expected, rtol=1e-6)


def test_layer_norm_is_of_each_word() -> None:
    mix = ScalarMix(ScalarMixConfig(layer_norm=True), 3).double()
    values = layers().numpy()
    centred = values - values.mean(-1, keepdims=True)
    expected = (centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)).mean(0)
    np.testing.assert_allclose(mix(layers()).detach().numpy(), expected, atol=1e-9)


def test_the_penalty_is_of_the_numbers_before_the_softmax() -> None:
    mix = ScalarMix(ScalarMixConfig(l2=0.5), 3)
    assert mix.penalty().item() == 0
    with torch.no_grad():
        mix.weights.copy_(torch.tensor([1.0, -2.0, 0.5]))
    assert mix.penalty().item() == pytest.approx(0.5 * 5.25)
