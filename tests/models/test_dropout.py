"""Dropout counted: how much falls, that the mean stays, and that chance is the generator's alone."""

import pytest
import torch

from seedbed.models.dropout import drop


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_share_that_falls(probability: float, dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    count = 300_001  # not a multiple of the four that share a draw
    found = drop(torch.ones(count, dtype=dtype), probability, True)
    fallen = int((found == 0).sum())
    # five standard deviations; the rounding to 2**-16 is far less
    assert abs(fallen - probability * count) < 5 * (count * probability * (1 - probability)) ** 0.5
    kept = found[found != 0].double().unique()
    assert kept.tolist() == pytest.approx(
        [1 / (1 - probability)], rel=8e-3 if dtype == torch.bfloat16 else 2e-4
    )


def test_neighbours_fall_independently() -> None:
    """Four of them share a draw: none of the six pairs within it agrees more often than chance has it."""
    torch.manual_seed(4)
    fallen_N4 = (drop(torch.ones(200_000, 4), 0.5, True) == 0).double()
    correlations = torch.corrcoef(fallen_N4.T) - torch.eye(4)
    assert float(correlations.abs().max()) < 5 / 200_000**0.5


def test_the_gradient_falls_with_its_value() -> None:
    values = torch.randn(7, 33, requires_grad=True)
    found = drop(values.T, 0.3, True)  # not contiguous
    assert found.shape == (33, 7)
    found.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad.T * values.detach().T, found.detach())


def test_the_same_seed_draws_the_same_and_nothing_is_drawn_for_nothing() -> None:
    values = torch.randn(50)
    torch.manual_seed(5)
    first, second = drop(values, 0.4, True), drop(values, 0.4, True)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(first, drop(values, 0.4, True))
    state = torch.get_rng_state()
    assert drop(values, 0.0, True) is values and drop(values, 0.4, False) is values
    assert torch.equal(state, torch.get_rng_state())
