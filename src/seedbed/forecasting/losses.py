"""Losses of N-BEATS: sMAPE, MAPE and MASE of the known points (Oreshkin et al. 2020, section 3.4).

A loss is the sum over known points; the forecaster divides it by all points, unknown ones too, so that
windows weigh the same whatever they miss. Denominators carry no gradient:
where a forecast nears zero, the gradient of sMAPE's own denominator would push it further away.
Shape legend: ... any leading dimensions, H horizon.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from seedbed.learner import Batch, MeanAccumulator

LossName = Literal["smape", "mape", "mase"]
Asked = LossName | float
"""What a member is asked for: the middle, by a loss; or the quantile of this share, by the pinball loss."""
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def smape_loss(forecast_H: Tensor, actual_H: Tensor, mask_H: Tensor, scale: Tensor) -> Tensor:
    """Sum of 200 |y - f| / (|y| + |f|) over points with mask 1; points where both are 0 count 0."""
    relative_H = _relative(forecast_H, actual_H, actual_H.abs() + forecast_H.detach().abs())
    return (200 * relative_H * mask_H).sum()


def mape_loss(forecast_H: Tensor, actual_H: Tensor, mask_H: Tensor, scale: Tensor) -> Tensor:
    """Sum of 100 |y - f| / |y|; points whose actual value is 0 are left out."""
    relative_H = _relative(forecast_H, actual_H, actual_H.abs())
    return (100 * relative_H * mask_H * (actual_H != 0)).sum()


def mase_loss(forecast_H: Tensor, actual_H: Tensor, mask_H: Tensor, scale: Tensor) -> Tensor:
    """Sum of |y - f| / scale, the mean absolute (seasonal) difference; scale 0 leaves a series out."""
    scale_H = scale.unsqueeze(-1).expand_as(actual_H)
    return (_relative(forecast_H, actual_H, scale_H) * mask_H * (scale_H > 0)).sum()


LOSSES: dict[LossName, Loss] = {"smape": smape_loss, "mape": mape_loss, "mase": mase_loss}


def pinball_loss(
    forecast_H: Tensor, actual_H: Tensor, mask_H: Tensor, scale: Tensor, *, share: float
) -> Tensor:
    """Sum of max(q e, (q - 1) e), e = y - f (Koenker and Bassett 1978), least at the quantile q = `share`."""
    error_H = actual_H - forecast_H
    return (torch.maximum(share * error_H, (share - 1) * error_H) * mask_H).sum()


def loss_of(asked: Asked) -> tuple[str, Loss]:
    """A name for the curves, and the loss."""
    if isinstance(asked, float):
        return f"pinball_{round(100 * asked, 1):g}", partial(pinball_loss, share=asked)
    return asked, LOSSES[asked]


def _relative(forecast_H: Tensor, actual_H: Tensor, denominator_H: Tensor) -> Tensor:
    denominator_H = denominator_H.detach()
    safe_H = torch.where(denominator_H > 0, denominator_H, torch.ones_like(denominator_H))
    return torch.where(denominator_H > 0, (forecast_H - actual_H).abs() / safe_H, torch.zeros_like(actual_H))


def add_scores(forecast_BH: Tensor, batch: Batch, accumulator: MeanAccumulator) -> None:
    """Add sMAPE and MASE of windows (B, ...) to `accumulator`, over those known in full."""
    actual_BH, mask_BH = batch["outsample"].double(), batch["outsample_mask"].double()
    whole_B = (mask_BH.sum(-1) == mask_BH.shape[-1]).double()
    error_BH = (forecast_BH - actual_BH).abs()
    size_BH = actual_BH.abs() + forecast_BH.abs()
    smape_B = (200 * error_BH / torch.where(size_BH > 0, size_BH, torch.ones_like(size_BH))).mean(-1)
    accumulator.add_mean("smape", (smape_B * whole_B).sum(), whole_B.sum())
    scale_B = batch["naive_scale"].double()
    defined_B = whole_B * (scale_B > 0)
    mase_B = error_BH.mean(-1) / torch.where(scale_B > 0, scale_B, torch.ones_like(scale_B))
    accumulator.add_mean("mase", (mase_B * defined_B).sum(), defined_B.sum())
