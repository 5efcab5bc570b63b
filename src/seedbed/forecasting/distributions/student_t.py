"""Student's t: a location, a scale, and as heavy tails as the series have.

Shape legend: P raw outputs, ... windows, H horizon.
"""

from typing import ClassVar, Literal

from scipy import stats
from torch import Tensor
from torch.distributions import StudentT

from seedbed.forecasting.distributions.base import DENSEST, DistributionConfig, in_unit, numbers, positive
from seedbed.forecasting.fitting import Floats

LEAST_FREEDOM = 2.0
"""Degrees of freedom above which the variance is finite."""


class StudentTConfig(DistributionConfig):
    """Raw outputs: location (the median), scale and degrees of freedom (above 2) before softplus."""

    name: Literal["student_t"]
    num_outputs: ClassVar[int] = 3
    adds_up: ClassVar[bool] = True
    least: ClassVar[float] = DENSEST

    def law(self, raw_PH: Tensor, unit: Tensor) -> StudentT:
        freedom_H = positive(raw_PH[2], shift=3.0, floor=LEAST_FREEDOM)
        return StudentT(freedom_H, raw_PH[0], positive(raw_PH[1]), validate_args=False)

    def quantile(self, raw_PH: Tensor, unit: Tensor, *, share: float) -> Floats:
        law = self.law(raw_PH, unit)
        found_H = stats.t.ppf(share, numbers(law.df), numbers(law.loc), numbers(law.scale))
        return in_unit(found_H, unit)
