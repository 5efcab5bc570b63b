"""The negative binomial: whole numbers from 0 on, with a variance above the mean.

Mean m and dispersion a, variance m + a m^2, as in DeepAR (Salinas et al. 2020, section 3.1; arXiv
1704.04110). The mean is learned in the window's scale, the likelihood is that of the counts themselves.

Shape legend: P raw outputs, ... windows, H horizon.
"""

from typing import ClassVar, Literal

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import NegativeBinomial
from torch.nn import functional

from seedbed.config import UserError
from seedbed.forecasting.distributions.base import DistributionConfig, numbers, positive
from seedbed.forecasting.fitting import Floats
from seedbed.forecasting.panels import SeriesSet

SHARPNESS = 20.0
"""Of the softplus that keeps means above zero: at 0 it adds 0.035 of the window's largest value."""
LEAST_MEAN = 1e-6


class NegativeBinomialConfig(DistributionConfig):
    """Raw outputs: mean, and dispersion before softplus. The point forecast is the median, a whole number."""

    name: Literal["negative_binomial"]
    num_outputs: ClassVar[int] = 2
    adds_up: ClassVar[bool] = False
    least: ClassVar[float] = 0.0

    def law(self, raw_PH: Tensor, unit: Tensor) -> NegativeBinomial:
        share_H = functional.softplus(raw_PH[0], beta=SHARPNESS)
        mean_H = share_H * unit[..., None].to(share_H.dtype) + LEAST_MEAN
        dispersion_H = positive(raw_PH[1])
        return NegativeBinomial(
            1 / dispersion_H, logits=torch.log(mean_H * dispersion_H), validate_args=False
        )

    def target(self, outsample_H: Tensor, unit: Tensor) -> Tensor:
        # back from the window's scale in single precision, a count is a whole number no more
        return torch.round(outsample_H * unit[..., None].to(outsample_H.dtype))

    def quantile(self, raw_PH: Tensor, unit: Tensor, *, share: float) -> Floats:
        law = self.law(raw_PH, unit)
        failure_H = 1 / (1 + np.exp(numbers(law.logits)))
        return np.asarray(stats.nbinom.ppf(share, numbers(law.total_count), failure_H), np.float64)

    def check(self, series: SeriesSet) -> None:
        for index, name in enumerate(series.ids):
            values = series.series(index)
            known = values[np.isfinite(values)]
            wrong = known[(known < 0) | (known != np.round(known)) | (known > 1e7)]
            if wrong.size:
                raise UserError(
                    f"series {name} of {series.frequency} has the value {wrong[0]:g}; negative_binomial is "
                    "of whole numbers from 0 to 10,000,000; take normal or student_t"
                )
