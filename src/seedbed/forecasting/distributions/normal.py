"""The normal distribution: likelihood as in DeepAR (Salinas et al. 2020, section 3.1; arXiv 1704.04110).

Shape legend: P raw outputs, ... windows, H horizon.
"""

from typing import ClassVar, Literal

from scipy import stats
from torch import Tensor
from torch.distributions import Normal

from seedbed.forecasting.distributions.base import DENSEST, DistributionConfig, in_unit, numbers, positive
from seedbed.forecasting.fitting import Floats


class NormalConfig(DistributionConfig):
    """Raw outputs: mean, and standard deviation before softplus; the median is the mean."""

    name: Literal["normal"]
    num_outputs: ClassVar[int] = 2
    adds_up: ClassVar[bool] = True
    least: ClassVar[float] = DENSEST

    def law(self, raw_PH: Tensor, unit: Tensor) -> Normal:
        return Normal(raw_PH[0], positive(raw_PH[1]), validate_args=False)

    def quantile(self, raw_PH: Tensor, unit: Tensor, *, share: float) -> Floats:
        law = self.law(raw_PH, unit)
        return in_unit(stats.norm.ppf(share, numbers(law.loc), numbers(law.scale)), unit)
