"""Losses against the metrics' definitions, masks, zeros, and gradients without the denominator."""

import numpy as np
import pytest
import torch

from seedbed import metrics
from seedbed.forecasting.losses import LOSSES, loss_of, mape_loss, mase_loss, smape_loss

FORECAST = torch.tensor([[1.0, 2.0, 3.0], [4.0, -1.0, 2.0]], dtype=torch.float64)
ACTUAL = torch.tensor([[1.5, 2.0, 2.0], [5.0, 1.0, 4.0]], dtype=torch.float64)
ONES = torch.ones_like(ACTUAL)
SCALE = torch.tensor([0.5, 2.0], dtype=torch.float64)


def test_equal_the_metrics() -> None:
    smape = np.mean([metrics.smape(a, f) for a, f in zip(ACTUAL, FORECAST, strict=True)])
    mape = np.mean([metrics.mape(a, f) for a, f in zip(ACTUAL, FORECAST, strict=True)])
    assert float(smape_loss(FORECAST, ACTUAL, ONES, SCALE)) / 6 == pytest.approx(smape, rel=1e-12)
    assert float(mape_loss(FORECAST, ACTUAL, ONES, SCALE)) / 6 == pytest.approx(mape, rel=1e-12)
    expected = ((FORECAST - ACTUAL).abs().mean(-1) / SCALE).mean()
    assert float(mase_loss(FORECAST, ACTUAL, ONES, SCALE)) / 6 == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_do_not_see_masked_points_nor_a_common_scale(name: str) -> None:
    loss = LOSSES[name]  # type: ignore[index]
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    spoiled = torch.where(mask > 0, ACTUAL, torch.full_like(ACTUAL, 1e6))
    plain = loss(FORECAST, ACTUAL, mask, SCALE)
    assert torch.equal(plain, loss(FORECAST, spoiled, mask, SCALE))
    assert torch.allclose(plain, loss(7 * FORECAST, 7 * ACTUAL, mask, 7 * SCALE), rtol=1e-12)


def test_denominators_carry_no_gradient() -> None:
    forecast = FORECAST.clone().requires_grad_()
    smape_loss(forecast, ACTUAL, ONES, SCALE).backward()
    expected = 200 * torch.sign(FORECAST - ACTUAL) / (FORECAST.abs() + ACTUAL.abs())
    assert forecast.grad is not None and torch.allclose(forecast.grad, expected)


def test_zeros_are_finite() -> None:
    zeros = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    for name, loss in LOSSES.items():
        value = loss(zeros, torch.zeros(2, 3), torch.ones(2, 3), torch.zeros(2))
        value.backward()
        assert float(value.detach()) == 0 and zeros.grad is not None and zeros.grad.isfinite().all(), name


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_pinball_loss_is_least_at_the_quantile(share: float) -> None:
    actual = torch.randn(2001, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    places = torch.linspace(-3, 3, 601, dtype=torch.float64)
    name, loss = loss_of(share)
    found = [
        float(loss(place.expand_as(actual), actual, torch.ones_like(actual), actual)) for place in places
    ]
    assert name == f"pinball_{100 * share:g}"
    assert float(places[int(np.argmin(found))]) == pytest.approx(float(actual.quantile(share)), abs=0.011)
