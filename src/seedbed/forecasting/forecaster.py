"""An ensemble of N-BEATS networks as one Learner: each member sees windows and a loss of its own.

Shape legend: N series, B windows, M members, S stacks, T lookback, H horizon.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor, nn

from seedbed.config import Machine, Strict
from seedbed.forecasting.ensembling import median, members
from seedbed.forecasting.fitting import Curve, Fitting, Forecasts
from seedbed.forecasting.losses import LOSSES, LossName
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from seedbed.forecasting.windows import WindowPresentations, Windows
from seedbed.learner import Accumulator, Batch, Learner, MeanAccumulator
from seedbed.models.nbeats import NBEATS, NBEATSConfig
from seedbed.weights import write_weights

BATCH_SERIES = 4096
SMALL_WIDTH = 256
"""Products of matrices up to this size end before a second thread is awake."""


class EnsembleForecaster(Learner):
    """N-BEATS members of one frequency. They share no weight, and Adam does not see the factor that the
    mean of their losses brings, so each learns as it would alone (if `gradient_clip`, a norm over all, is
    kept out of reach). A batch holds windows of each member's own (B, M, ...) or common to all (B, ...).
    """

    def __init__(self, config: "NBEATSForecasterConfig", *, horizon: int, seed: int) -> None:
        super().__init__()
        self._names = config.model.component_names()
        self._level = config.level
        self._members = members(
            lookbacks=config.lookbacks,
            losses=config.losses,
            repeats=config.repeats,
            horizon=horizon,
            seed=seed,
        )
        self.members = nn.ModuleList(
            config.model.build(lookback=member.lookback, horizon=horizon, seed=member.seed)
            for member in self._members
        )

    def components(self, batch: Batch) -> Tensor:
        """(M, 1 + S, B, H) in the window's scale: the level, then each stack's share."""
        parts = []
        for index, network in enumerate(self.members):
            assert isinstance(network, NBEATS)
            window_BT = _of_member(batch["insample"], index, 2)[:, -network.lookback :]
            mask_BT = _of_member(batch["insample_mask"], index, 2)[:, -network.lookback :]
            level_B1 = window_BT[:, -1:] if self._level == "last" else torch.zeros_like(window_BT[:, -1:])
            shares_SBH = network.components(window_BT - level_B1, mask_BT)
            parts.append(torch.cat([level_B1.expand(-1, network.horizon)[None], shares_SBH]))
        return torch.stack(parts)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Points a member is asked for, unknown ones too, as the losses count them."""
        return {"points": torch.tensor(len(batch["outsample"]) * batch["outsample"].shape[-1])}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mean over members, and the mean of each kind of loss."""
        forecasts_MBH = self.components(batch).sum(1)
        by_loss: dict[str, list[Tensor]] = {}
        for index, member in enumerate(self._members):
            loss = LOSSES[member.loss](
                forecasts_MBH[index],
                _of_member(batch["outsample"], index, 2),
                _of_member(batch["outsample_mask"], index, 2),
                _of_member(batch["naive_scale"], index, 1),
            )
            by_loss.setdefault(member.loss, []).append(loss / counts["points"])
        means = {name: torch.stack(losses).mean() for name, losses in by_loss.items()}
        total = torch.stack([loss for losses in by_loss.values() for loss in losses]).sum()
        return {"loss": total / len(self._members)} | means

    def scores(self) -> Accumulator:
        return MeanAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        """sMAPE and MASE of the median, of windows common to all members, over those known in full."""
        assert isinstance(accumulator, MeanAccumulator) and batch["outsample"].ndim == 2
        forecast_BH = median(self.components(batch).sum(1).double())
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

    @torch.no_grad()
    def forecast(self, windows: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Median forecast (B, H) in the series' unit and components that add up to it, in float64.

        Level and stacks are means over members; `ensemble` is what the median departs from the mean.
        """
        parts_MSBH = self.components(windows).double() * windows["scale"][:, None]
        middle_BH = median(parts_MSBH.sum(1))
        mean_SBH = parts_MSBH.mean(0)
        components = dict(zip(("level", *self._names), mean_SBH, strict=True))
        if self._level == "zero":
            del components["level"]
        return middle_BH, components | {"ensemble": middle_BH - mean_SBH.sum(0)}


def _of_member(tensor: Tensor, index: int, ndim: int) -> Tensor:
    return tensor if tensor.ndim == ndim else tensor[:, index]


class FittedNBEATS:
    """A trained ensemble of one frequency."""

    def __init__(self, learner: EnsembleForecaster, *, lookback: int, curves: Curve) -> None:
        self.learner, self._lookback, self.curves = learner.eval(), lookback, curves

    def forecast(self, series: SeriesSet) -> Forecasts:
        windows = Windows(series, lookback=self._lookback).at_end()
        values, components = [], []
        for first in range(0, len(series), BATCH_SERIES):
            part = {key: value[first : first + BATCH_SERIES] for key, value in windows.items()}
            middle_BH, shares = self.learner.forecast(part)
            values.append(middle_BH.numpy())
            components.append({name: share.numpy() for name, share in shares.items()})
        names = components[0]
        shares_by_name = {name: np.concatenate([part[name] for part in components]) for name in names}
        return Forecasts(np.concatenate(values), shares_by_name)

    def save(self, path: Path) -> None:
        write_weights(path.with_suffix(".safetensors"), self.learner.state_dict())


class NBEATSForecasterConfig(Strict):
    """A median ensemble of N-BEATS networks."""

    name: Literal["nbeats"]
    model: NBEATSConfig
    lookbacks: tuple[int, ...] = Field(min_length=1, description="in horizons; the paper: 2 to 7")
    losses: tuple[LossName, ...] = Field(min_length=1)
    repeats: int = Field(1, ge=1, description="members per lookback and loss; the paper: 10")
    history_horizons: float = Field(
        10.0, gt=0, description="L_H: cuts are drawn from the last L_H x horizon points of a series"
    )
    level: Literal["zero", "last"] = Field(
        "zero",
        description="zero: as in the paper; last: networks see and forecast departures from the last value",
    )

    def fit(self, series: SeriesSet, *, valid: SeriesSet | None, fitting: Fitting) -> FittedNBEATS:
        """Train on `series`; `valid` holds the horizon after it, for the curves, and decides nothing."""
        from seedbed.training.trainer import train

        training = fitting.training
        assert training is not None, "ForecastRecipe asks for it"
        learner = self.build(series.config, seed=training.seed)
        lookback = self._lookback(series.config)
        presentations = WindowPresentations(
            series,
            lookback=lookback,
            members=len(learner.members),
            history_horizons=self.history_horizons,
            seed=training.seed,
        )

        def batches() -> Iterator[dict[str, Tensor]]:
            if valid is not None:
                windows = Windows(series, lookback=lookback).before(valid)
                for first in range(0, len(series), BATCH_SERIES):
                    yield {key: value[first : first + BATCH_SERIES] for key, value in windows.items()}

        trained = train(
            learner,
            data=presentations,
            valid=batches,
            recipe=training,
            example_tokens=len(learner.members) * (lookback + series.config.horizon),
            machine=self._machine(fitting.machine),
            scratch=fitting.scratch,
            tracker=fitting.tracker,
            label=fitting.label,
        )
        return FittedNBEATS(learner, lookback=lookback, curves=trained.curves)

    def load(self, path: Path, frequency: FrequencyConfig) -> FittedNBEATS:
        """Read what `save` wrote."""
        learner = self.build(frequency, seed=0)
        learner.load_state_dict(load_file(path.with_suffix(".safetensors")))
        return FittedNBEATS(learner, lookback=self._lookback(frequency), curves=[])

    def build(self, frequency: FrequencyConfig, *, seed: int) -> EnsembleForecaster:
        return EnsembleForecaster(self, horizon=frequency.horizon, seed=seed)

    def _machine(self, machine: Machine) -> Machine:
        small = max(stack.width for stack in self.model.stacks) <= SMALL_WIDTH
        return machine.model_copy(update={"threads": 1}) if small else machine

    def _lookback(self, frequency: FrequencyConfig) -> int:
        """The longest window any member takes."""
        return max(self.lookbacks) * frequency.horizon
