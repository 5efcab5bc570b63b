"""One network on windows as a forecaster: what N-BEATS is held against, on the same windows and losses.

Shape legend: B windows, T lookback, H horizon.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.config import Strict
from seedbed.forecasting.ensembling import Origin, departures
from seedbed.forecasting.fitting import Fitting, Forecasts
from seedbed.forecasting.losses import LOSSES, LossName, add_scores
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from seedbed.forecasting.window_training import FittedOnWindows, WindowLearner, read_weights, train_on_windows
from seedbed.forecasting.windows import point_scale
from seedbed.learner import Accumulator, Batch, MeanAccumulator
from seedbed.models.windowed import WindowNetwork

BATCH_SERIES = 4096


class WindowForecaster(WindowLearner):
    """A network that forecasts departures from a window's level. Its batches are (B, ...) or (B, 1, ...)."""

    def __init__(self, network: nn.Module, *, loss: LossName, level: Origin) -> None:
        super().__init__()
        self.network = network
        self._loss: LossName = loss
        self._level = level

    def forward(self, batch: Batch) -> Tensor:
        """(B, H) in the window's scale."""
        window_BT, mask_BT = (_alone(batch[name], 2) for name in ("insample", "insample_mask"))
        level_B1, departures_BT, size_B1 = departures(window_BT, mask_BT, origin=self._level)
        departure_BH: Tensor = self.network(departures_BT, mask_BT)
        return level_B1 + departure_BH.to(window_BT.dtype) * size_B1

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        total = LOSSES[self._loss](
            self(batch),
            _alone(batch["outsample"], 2),
            _alone(batch["outsample_mask"], 2),
            _alone(batch["naive_scale"], 1),
        )
        return {"loss": total / counts["points"]}

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        """sMAPE and MASE of windows (B, ...), over those known in full."""
        assert isinstance(accumulator, MeanAccumulator) and batch["outsample"].ndim == 2
        add_scores(self(batch).double(), batch, accumulator)

    @torch.no_grad()
    def forecast(self, windows: Batch) -> Forecasts:
        return Forecasts((self(windows).double() * point_scale(windows)[:, None]).numpy())

    @property
    def together(self) -> int:
        return BATCH_SERIES


def _alone(tensor: Tensor, ndim: int) -> Tensor:
    return tensor if tensor.ndim == ndim else tensor[:, 0]


FittedNetwork = FittedOnWindows[WindowForecaster]


class NetworkForecasterConfig(Strict):
    """One network on windows, not an ensemble."""

    name: Literal["network"]
    model: WindowNetwork
    lookback: int = Field(3, ge=1, description="in horizons")
    loss: LossName = "smape"
    history_horizons: float = Field(
        10.0, gt=0, description="L_H: cuts are drawn from the last L_H x horizon points of a series"
    )
    level: Origin = Field(
        "last",
        description="what the network sees and forecasts departures from: the last known value, or 0; "
        "last_scaled: departures over the largest in the window",
    )

    def fit(self, series: SeriesSet, *, valid: SeriesSet | None, fitting: Fitting) -> FittedNetwork:
        """Train on `series`; `valid` holds the horizon after it, for the curves, and decides nothing."""
        training = fitting.training
        assert training is not None, "ForecastRecipe asks for it"
        lookback = self.lookback * series.config.horizon
        learner = self.build(series.config, seed=training.seed)

        curves = train_on_windows(
            learner,
            series,
            valid=valid,
            fitting=fitting,
            lookback=lookback,
            seeds=[training.seed],
            history_horizons=self.history_horizons,
        )
        return FittedNetwork(learner, lookback=lookback, curves=curves)

    def load(self, path: Path, frequency: FrequencyConfig) -> FittedNetwork:
        """Read what `save` wrote."""
        learner = self.build(frequency, seed=0)
        read_weights(path, learner)
        return FittedNetwork(learner, lookback=self.lookback * frequency.horizon, curves=[])

    def build(self, frequency: FrequencyConfig, *, seed: int) -> WindowForecaster:
        lookback = self.lookback * frequency.horizon
        network = self.model.build(lookback=lookback, horizon=frequency.horizon, seed=seed)
        return WindowForecaster(network, loss=self.loss, level=self.level)
