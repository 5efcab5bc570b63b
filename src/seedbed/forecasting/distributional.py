"""Networks that forecast a distribution: N-BEATS or a network on windows, learned by likelihood.

A member gives the raw outputs of one distribution for each step ahead (`distributions`). Of N-BEATS each
output is a network of its own, the first of them the location, whose stacks add up as those of any N-BEATS; a
network on windows gives all outputs from its last layer. Forecasts are medians of the quantiles of members.

Shape legend: B windows, M members, P raw outputs, S stacks, T lookback, H horizon.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.config import Strict
from seedbed.data.randomness import derive_seed
from seedbed.forecasting.distributions import Distribution
from seedbed.forecasting.ensembling import departures, median
from seedbed.forecasting.fitting import Fitting, Floats, Forecasts, Level
from seedbed.forecasting.losses import add_scores
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from seedbed.forecasting.window_training import (
    FittedOnWindows,
    FrequencySettings,
    WindowLearner,
    read_weights,
    train_on_windows,
)
from seedbed.learner import Accumulator, Batch, MeanAccumulator
from seedbed.models.nbeats import NBEATSConfig
from seedbed.models.nbeats_ensemble import NBEATSEnsemble
from seedbed.models.windowed import WindowNetwork

BATCH_WINDOWS = 4096
"""Windows of all members that are forecast together."""


class StackedOutputs(nn.Module):
    """N-BEATS networks, one for each member and raw output."""

    def __init__(
        self, config: NBEATSConfig, *, seeds: list[int], outputs: int, lookback: int, horizon: int
    ) -> None:
        super().__init__()
        self._shape = (len(seeds), outputs)
        self.networks = NBEATSEnsemble(
            [
                config.build(lookback=lookback, horizon=horizon, seed=derive_seed(seed, "output", number))
                for seed in seeds
                for number in range(outputs)
            ]
        )

    def forward(self, window_MBT: Tensor, mask_MBT: Tensor) -> Tensor:
        """(P, S, M, B, H)"""
        repeated = (part.repeat_interleave(self._shape[1], dim=0) for part in (window_MBT, mask_MBT))
        shares_SMBH = self.networks.components(*repeated)
        shape = (len(shares_SMBH), *self._shape, *shares_SMBH.shape[2:])
        return shares_SMBH.reshape(shape).permute(2, 0, 1, 3, 4)


class PlainOutputs(nn.Module):
    """Networks on windows, one for each member, with a last layer of all raw outputs."""

    def __init__(
        self, config: WindowNetwork, *, seeds: list[int], outputs: int, lookback: int, horizon: int
    ) -> None:
        super().__init__()
        self._outputs = outputs
        self.networks = nn.ModuleList(
            config.build(lookback=lookback, horizon=outputs * horizon, seed=seed) for seed in seeds
        )

    def forward(self, window_MBT: Tensor, mask_MBT: Tensor) -> Tensor:
        """(P, 1, M, B, H)"""
        made = [
            network(window_BT, mask_BT).reshape(len(window_BT), self._outputs, -1)
            for network, window_BT, mask_BT in zip(self.networks, window_MBT, mask_MBT, strict=True)
        ]
        return torch.stack(made).permute(2, 0, 1, 3)[:, None]


class DistributionForecaster(WindowLearner):
    """Members of one frequency. A batch holds windows of each member's own (B, M, ...) or of all (B, ...)."""

    def __init__(self, config: "DistributionalConfig", *, horizon: int, seed: int) -> None:
        super().__init__()
        self._config, self.distribution = config, config.distribution
        self.seeds = [derive_seed(seed, "distribution", number) for number in range(config.repeats)]
        sizes = {"outputs": self.distribution.num_outputs, "lookback": config.lookback * horizon}
        if isinstance(config.model, NBEATSConfig):
            self.outputs: nn.Module = StackedOutputs(config.model, seeds=self.seeds, horizon=horizon, **sizes)
        else:
            self.outputs = PlainOutputs(config.model, seeds=self.seeds, horizon=horizon, **sizes)

    def raw(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Raw outputs (P, M, B, H), and what their location is the sum of (1 + S, M, B, H): level, stacks."""
        window_MBT, mask_MBT = (self._of_members(batch[name], 2) for name in ("insample", "insample_mask"))
        level_MB1, seen_MBT, _ = departures(window_MBT, mask_MBT, origin=self._config.level)
        shares_PSMBH = self.outputs(seen_MBT, mask_MBT).to(window_MBT.dtype)
        level_MBH = level_MB1.expand(shares_PSMBH.shape[2:])
        location_SMBH = torch.cat([level_MBH[None], shares_PSMBH[0]])
        return torch.cat([location_SMBH.sum(0)[None], shares_PSMBH[1:].sum(1)]), location_SMBH

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mean over members, who share no weight."""
        raw_PMBH, _ = self.raw(batch)
        total = self.distribution.loss(
            raw_PMBH,
            self._of_members(batch["outsample"], 2),
            self._of_members(batch["outsample_mask"], 2),
            self._of_members(batch["scale"], 1),
        )
        return {"loss": total / (counts["points"] * len(self.seeds))}

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        """sMAPE and MASE of the median of windows common to all members, and the members' mean likelihood."""
        assert isinstance(accumulator, MeanAccumulator) and batch["outsample"].ndim == 2
        raw_PMBH, _ = self.raw(batch)
        unit_B = batch["scale"]
        forecast_BH = median(self._points(raw_PMBH, unit_B) / unit_B[:, None])
        add_scores(forecast_BH, batch, accumulator)
        outsample_MBH, mask_MBH = (
            self._of_members(batch[name], 2) for name in ("outsample", "outsample_mask")
        )
        nll_MBH = self.distribution.nll(raw_PMBH, outsample_MBH, self._of_members(unit_B, 1))
        accumulator.add_mean("nll", (nll_MBH * mask_MBH).sum(), mask_MBH.sum())

    @torch.no_grad()
    def forecast(self, windows: Batch) -> Forecasts:
        """Of windows (B, ...) the median in the series' unit, intervals, components where defined."""
        raw_PMBH, location_SMBH = self.raw(windows)
        unit_B = windows["scale"]
        middle_BH = median(self._points(raw_PMBH, unit_B)).numpy()
        intervals = {
            level: (
                self._quantile(raw_PMBH, unit_B, (100 - level) / 200),
                self._quantile(raw_PMBH, unit_B, (100 + level) / 200),
            )
            for level in self._config.levels
        }
        components: dict[str, Floats] = {}
        if isinstance(self._config.model, NBEATSConfig) and self.distribution.adds_up:
            shares_SBH = (location_SMBH.double() * unit_B[:, None]).mean(1).numpy()
            named = dict(zip(("level", *self._config.model.component_names()), shares_SBH, strict=True))
            if self._config.level == "zero":
                del named["level"]
            components = named | {"ensemble": middle_BH - shares_SBH.sum(0)}
        return Forecasts(middle_BH, components, intervals)

    @property
    def together(self) -> int:
        return max(1, BATCH_WINDOWS // len(self.seeds))

    def _points(self, raw_PMBH: Tensor, unit_B: Tensor) -> Tensor:
        """(M, B, H) each member's median, in the series' unit."""
        if self.distribution.adds_up:
            return raw_PMBH[0].double() * unit_B[:, None]
        unit_MB = self._of_members(unit_B, 1)
        return torch.from_numpy(self.distribution.quantile(raw_PMBH, unit_MB, share=0.5)).to(unit_B.device)

    def _quantile(self, raw_PMBH: Tensor, unit_B: Tensor, share: float) -> Floats:
        values_MBH = self.distribution.quantile(raw_PMBH, self._of_members(unit_B, 1), share=share)
        return median(torch.from_numpy(values_MBH)).numpy()

    def _of_members(self, tensor: Tensor, ndim: int) -> Tensor:
        """(M, B, ...) of windows (B, M, ...), or of windows (B, ...) that all members share."""
        if tensor.ndim == ndim:
            return tensor.expand(len(self.seeds), *tensor.shape)
        return tensor.transpose(0, 1)


FittedDistribution = FittedOnWindows[DistributionForecaster]


class DistributionalConfig(Strict):
    """Networks that forecast a distribution."""

    name: Literal["distributional"]
    model: Annotated[NBEATSConfig | WindowNetwork, Field(discriminator="name")]
    distribution: Distribution
    lookback: int = Field(3, ge=1, description="in horizons")
    repeats: int = Field(1, ge=1, description="members, whose quantiles' medians are the forecast")
    levels: tuple[Level, ...] = Field((80, 95), description="of the intervals that are written")
    history_horizons: float = Field(
        10.0, gt=0, description="L_H: cuts are drawn from the last L_H x horizon points of a series"
    )
    level: Literal["zero", "last"] = Field(
        "last", description="what the location departs from: the last known value, or 0"
    )
    by_frequency: dict[str, FrequencySettings] = Field({}, description="what differs for some frequencies")

    def fit(self, series: SeriesSet, *, valid: SeriesSet | None, fitting: Fitting) -> FittedDistribution:
        """Train on `series`; `valid` holds the horizon after it, for the curves, and decides nothing."""
        assert fitting.training is not None, "ForecastRecipe asks for it"
        own = self.by_frequency.get(series.frequency, FrequencySettings())
        where = f"{fitting.label}: forecaster.by_frequency.{series.frequency}"
        training = own.training(fitting.training, where=where)
        self.distribution.check(series)
        lookback = self.lookback * series.config.horizon
        learner = self.build(series.config, seed=training.seed)

        curves = train_on_windows(
            learner,
            series,
            valid=valid,
            fitting=replace(fitting, training=training),
            lookback=lookback,
            seeds=learner.seeds,
            history_horizons=own.history_horizons or self.history_horizons,
        )
        return FittedDistribution(learner, lookback=lookback, curves=curves)

    def load(self, path: Path, frequency: FrequencyConfig) -> FittedDistribution:
        """Read what `save` wrote."""
        learner = self.build(frequency, seed=0)
        read_weights(path, learner)
        return FittedDistribution(learner, lookback=self.lookback * frequency.horizon, curves=[])

    def build(self, frequency: FrequencyConfig, *, seed: int) -> DistributionForecaster:
        return DistributionForecaster(self, horizon=frequency.horizon, seed=seed)
