"""Distributions: likelihoods and quantiles against scipy, the least a likelihood can be, what counts are."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from scipy import stats

from seedbed.config import UserError
from seedbed.forecasting.distributions import (
    Distribution,
    NegativeBinomialConfig,
    NormalConfig,
    StudentTConfig,
)
from seedbed.forecasting.distributions.base import FLOOR
from tests.forecasting.test_conformal import panel

UNIT = torch.tensor([2.0, 300.0, 40_000.0], dtype=torch.float64)


def raw(outputs: int) -> torch.Tensor:
    """(P, 3, 5), from far below to far above."""
    return 3 * torch.randn(outputs, 3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def softplus(values: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, values)


def scipys(name: str, raw_PH: np.ndarray) -> Any:
    """The same distribution in scipy's own parameters, in the window's scale or of counts."""
    if name == "normal":
        return stats.norm(raw_PH[0], softplus(raw_PH[1] - 3) + FLOOR)
    if name == "student_t":
        return stats.t(2 + softplus(raw_PH[2] + 3), raw_PH[0], softplus(raw_PH[1] - 3) + FLOOR)
    mean = softplus(20 * raw_PH[0]) / 20 * UNIT.numpy()[:, None] + 1e-6
    dispersion = softplus(raw_PH[1] - 3) + FLOOR
    return stats.nbinom(1 / dispersion, 1 / (1 + mean * dispersion))


@pytest.mark.parametrize("name", ["normal", "student_t", "negative_binomial"])
def test_likelihood_and_quantiles_are_scipys(name: str) -> None:
    one = TypeAdapter(Distribution).validate_python({"name": name})
    raw_PH = raw(one.num_outputs)
    reference = scipys(name, raw_PH.numpy())
    actual_H = reference.rvs(random_state=np.random.default_rng(2))
    outsample_H = torch.from_numpy(np.asarray(actual_H, np.float64))
    if name == "negative_binomial":
        expected, unit = -reference.logpmf(actual_H), np.ones((3, 1))
        outsample_H = outsample_H / UNIT[:, None]
    else:
        expected, unit = -reference.logpdf(actual_H), UNIT.numpy()[:, None]
    nll_H = one.nll(raw_PH, outsample_H, UNIT).numpy()
    np.testing.assert_allclose(nll_H, expected, rtol=1e-6, atol=1e-6)
    assert (nll_H >= one.least).all()
    mask_H = (torch.arange(5) < 3).double().expand(3, 5)
    known = (expected - one.least)[:, :3].sum()
    assert float(one.loss(raw_PH, outsample_H, mask_H, UNIT)) == pytest.approx(known, rel=1e-6)
    for share in (0.025, 0.5, 0.9):
        np.testing.assert_allclose(
            one.quantile(raw_PH, UNIT, share=share), reference.ppf(share) * unit, rtol=1e-9, atol=1e-9
        )


def test_a_perfect_forecast_of_a_still_series_has_the_least_likelihood() -> None:
    raw_PH = torch.tensor([0.5, -1e9, 0.0]).reshape(3, 1, 1)
    outsample_H = torch.full((1, 1), 0.5)
    unit = torch.ones(1)
    of_normal = NormalConfig(name="normal").nll(raw_PH[:2], outsample_H, unit)
    assert float(of_normal) == pytest.approx(NormalConfig.least, abs=1e-6)
    of_t = StudentTConfig(name="student_t").nll(raw_PH, outsample_H, unit)
    assert NormalConfig.least < float(of_t) < NormalConfig.least + 0.2


@pytest.mark.parametrize("value", [-1.0, 2.5, 1e9])
def test_counts_are_whole_and_not_below_zero(value: float) -> None:
    values = np.tile(np.arange(6.0), (2, 1))
    values[0, 2] = np.nan
    counts = NegativeBinomialConfig(name="negative_binomial")
    counts.check(panel(values))
    values[1, 4] = value
    with pytest.raises(UserError, match=f"series s1 of daily has the value {value:g}".replace("+", r"\+")):
        counts.check(panel(values))
    NormalConfig(name="normal").check(panel(values))
