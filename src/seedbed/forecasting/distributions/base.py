"""What distributions share: parameters from a network's outputs, in the window's scale or in counts.

A network gives `num_outputs` raw numbers for each step ahead, of which the first is the location as it
would forecast it. Raw numbers are in the scale of the window (its largest absolute value is 1); `unit` is
what that 1 is worth in the series.

Shape legend: P raw outputs, ... windows, H horizon.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional

from seedbed.config import Strict
from seedbed.forecasting.fitting import Floats
from seedbed.forecasting.panels import SeriesSet

FLOOR = 1e-4
"""Least scale, of the window's largest value: a series that stands still has no infinite likelihood."""
DENSEST = math.log(FLOOR * math.sqrt(2 * math.pi))
"""The `nll` of a normal distribution of that scale at its mean."""
FIRST_SHIFT = -3.0
"""Added to raw scales, so that a new network begins with about 0.05, and not 0.7, of the largest value."""


class DistributionConfig(Strict, ABC):
    """A distribution of each value ahead, each step for itself."""

    num_outputs: ClassVar[int]
    adds_up: ClassVar[bool]
    """Whether the point forecast is the raw location, so that its components add up to it."""
    least: ClassVar[float]
    """No `nll` is below it."""

    @abstractmethod
    def law(self, raw_PH: Tensor, unit: Tensor) -> Distribution:
        """The distribution at each point (..., H) of raw outputs (P, ..., H); `unit` is (...)."""

    def target(self, outsample_H: Tensor, unit: Tensor) -> Tensor:
        """The values (..., H), in the window's scale, as `law` sees them."""
        return outsample_H

    def nll(self, raw_PH: Tensor, outsample_H: Tensor, unit: Tensor) -> Tensor:
        """(..., H) negative log likelihood in nats; of densities in the window's scale."""
        return -self.law(raw_PH, unit).log_prob(self.target(outsample_H, unit))

    def loss(self, raw_PH: Tensor, outsample_H: Tensor, mask_H: Tensor, unit: Tensor) -> Tensor:
        """Sum over points with mask 1 of `nll` above `least`: never negative, as a loss that is watched for
        divergence must be. The gradient is that of `nll`.
        """
        return ((self.nll(raw_PH, outsample_H, unit) - self.least) * mask_H).sum()

    @abstractmethod
    def quantile(self, raw_PH: Tensor, unit: Tensor, *, share: float) -> Floats:
        """The values (..., H), in the series' unit, that lie above `share` of the distribution."""

    def check(self, series: SeriesSet) -> None:
        """UserError where the series' values are not what the distribution is of."""


def positive(raw_H: Tensor, *, shift: float = FIRST_SHIFT, floor: float = FLOOR) -> Tensor:
    """Raw numbers as scales: softplus, and no less than `floor`."""
    return functional.softplus(raw_H + shift) + floor


def numbers(tensor: Tensor) -> Floats:
    return np.asarray(tensor.detach().double().cpu().numpy())


def in_unit(values_H: Floats, unit: Tensor) -> Floats:
    return np.asarray(values_H * numbers(unit)[..., None])
