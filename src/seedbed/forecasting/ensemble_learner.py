"""An ensemble of N-BEATS networks as one Learner: each member sees windows and a loss of its own.

Shape legend: N series, B windows, M members, S stacks, T lookback, H horizon.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seedbed.forecasting.ensembling import departures, last_season, median
from seedbed.forecasting.exogenous import Facts, build_members, shares
from seedbed.forecasting.fitting import Forecasts
from seedbed.forecasting.losses import Asked, add_scores, loss_of
from seedbed.forecasting.window_training import WindowLearner
from seedbed.forecasting.windows import point_scale
from seedbed.learner import Accumulator, Batch, MeanAccumulator

if TYPE_CHECKING:
    from seedbed.forecasting.forecaster import NBEATSForecasterConfig

FORECAST_WINDOWS = 1 << 14
"""Windows of all members that are computed together when nothing is learned."""


class EnsembleForecaster(WindowLearner):
    """N-BEATS members of one frequency, computed together. They share no weight, and Adam does not see the
    factor that the mean of their losses brings, so each learns as it would alone (if `gradient_clip`, a norm
    over all, is kept out of reach). A batch holds windows of each member's own (B, M, ...) or common to all
    (B, ...). `only`: the members of these numbers, as they are among all. `facts`: of covariates, if any.
    `seasons`: see NBEATSFrequencySettings.
    """

    def __init__(
        self,
        config: "NBEATSForecasterConfig",
        *,
        horizon: int,
        seed: int,
        only: slice = slice(None),
        facts: Facts | None = None,
        seasons: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self._names = config.model.component_names()
        self._level = config.level
        self._levels = config.levels
        every_member = config.plan(horizon=horizon, seed=seed)
        self.plan, self._among = every_member[only], len(every_member)
        self._season_M = [
            max(points for points in seasons if points <= member.lookback) for member in self.plan if seasons
        ]
        self._by_loss: dict[Asked, list[int]] = {}
        for index, member in enumerate(self.plan):
            self._by_loss.setdefault(member.loss, []).append(index)
        self._middle = [index for index, member in enumerate(self.plan) if isinstance(member.loss, str)]
        self.members = build_members(
            config.model, self.plan, horizon=horizon, lookback=max(config.lookbacks) * horizon, facts=facts
        )

    def components(self, batch: Batch) -> Tensor:
        """(M, 1 + S, B, H) in the window's scale: the level, then each stack's share."""
        window_MBT = self._of_members(batch["insample"], 2)[..., -self.members.lookback :]
        mask_MBT = self._of_members(batch["insample_mask"], 2)[..., -self.members.lookback :]
        level_MB1, departures_MBT, size_MB1 = departures(window_MBT, mask_MBT, origin=self._level)
        shares_SMBH = shares(self.members, departures_MBT, mask_MBT, batch, self._of_members) * size_MB1
        level_MBH = level_MB1.expand(-1, -1, self.members.horizon)
        if self._season_M:
            level_MBH = last_season(window_MBT, mask_MBT, points=self._season_M, horizon=self.members.horizon)
        return torch.cat([level_MBH[None], shares_SMBH]).transpose(0, 1)

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mean over members, and the mean of each kind of loss.

        Of some members only, their part of the mean over all: it adds up, and a gradient is the same bits in
        whatever company a member learns.
        """
        asked = (
            self.components(batch).sum(1),
            self._of_members(batch["outsample"], 2),
            self._of_members(batch["outsample_mask"], 2),
            self._of_members(batch["naive_scale"], 1),
        )
        points = counts["points"]
        sums, means = {}, {}
        for wanted, own in self._by_loss.items():
            name, loss = loss_of(wanted)
            sums[name] = loss(*(part[own] for part in asked))
            means[name] = sums[name] / (points * len(own))
        return {"loss": torch.stack([*sums.values()]).sum() / (points * self._among)} | means

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        """sMAPE and MASE of the median, of windows common to all members, over those known in full."""
        assert isinstance(accumulator, MeanAccumulator) and batch["outsample"].ndim == 2
        if self._middle:
            forecasts_MBH = self.components(batch).sum(1).double()
            add_scores(median(forecasts_MBH[self._middle]), batch, accumulator)

    @torch.no_grad()
    def forecast(self, windows: Batch) -> Forecasts:
        """Median forecast (B, H) in the series' unit, components that add up to it, and intervals by level.

        In float64. Level and stacks are means over members; `ensemble` is what the median departs from the
        mean. Members that learn a quantile have no part in these; their medians are the intervals' ends,
        never on the wrong side of the forecast.
        """
        all_MSBH = self.components(windows).double() * point_scale(windows)[:, None]
        parts_MSBH = all_MSBH[self._middle]
        middle_BH = median(parts_MSBH.sum(1))
        mean_SBH = parts_MSBH.mean(0)
        components = dict(zip(("level", *self._names), mean_SBH, strict=True))
        if self._level == "zero" and not self._season_M:
            del components["level"]
        intervals = {}
        for level in self._levels:
            low_BH, high_BH = (median(all_MSBH[self._by_loss[share]].sum(1)) for share in quantiles_of(level))
            ends = torch.minimum(low_BH, middle_BH), torch.maximum(high_BH, middle_BH)
            intervals[level] = ends[0].numpy(), ends[1].numpy()
        components["ensemble"] = middle_BH - mean_SBH.sum(0)
        return Forecasts(
            middle_BH.numpy(), {name: share_BH.numpy() for name, share_BH in components.items()}, intervals
        )

    @property
    def together(self) -> int:
        return max(1, FORECAST_WINDOWS // len(self.plan))

    def _of_members(self, tensor: Tensor, ndim: int) -> Tensor:
        """(M, B, ...) of windows (B, M, ...), or of windows (B, ...) that all members share."""
        if tensor.ndim == ndim:
            return tensor.expand(len(self.plan), *tensor.shape)
        return tensor.transpose(0, 1)


def quantiles_of(level: int) -> tuple[float, float]:
    """The quantiles that bound an interval of `level` per cent."""
    return (100 - level) / 200, (100 + level) / 200
