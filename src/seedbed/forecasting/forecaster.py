"""An ensemble of N-BEATS networks as one Learner: each member sees windows and a loss of its own.

Shape legend: N series, B windows, M members, S stacks, T lookback, H horizon.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from seedbed.config import Machine, Strict
from seedbed.forecasting.ensembling import Member, last_known, last_season, median, members
from seedbed.forecasting.exogenous import Facts, build_members, facts_in, facts_of, shares
from seedbed.forecasting.fitting import Curve, Fitting, Floats, Forecasts, Level
from seedbed.forecasting.losses import Asked, LossName, add_scores, loss_of
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from seedbed.forecasting.spreading import Shares
from seedbed.forecasting.window_training import FrequencySettings
from seedbed.forecasting.windows import WindowPresentations, Windows, point_scale
from seedbed.learner import Accumulator, Batch, Learner, MeanAccumulator
from seedbed.models.nbeats import NBEATSConfig
from seedbed.models.nbeatsx import NBEATSxConfig
from seedbed.weights import fill, read_tensors, write_weights

FORECAST_WINDOWS = 1 << 14
"""Windows of all members that are computed together when nothing is learned."""
SMALL_WIDTH = 256
"""Products of matrices up to this size end before a second thread is awake."""


class EnsembleForecaster(Learner):
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
        level_MB1 = torch.zeros_like(window_MBT[..., -1:])
        if self._level == "last":
            level_MB1 = last_known(window_MBT, mask_MBT)
        departures_MBT = window_MBT - level_MB1
        shares_SMBH = shares(self.members, departures_MBT, mask_MBT, batch, self._of_members)
        level_MBH = level_MB1.expand(-1, -1, self.members.horizon)
        if self._season_M:
            level_MBH = last_season(window_MBT, mask_MBT, points=self._season_M, horizon=self.members.horizon)
        return torch.cat([level_MBH[None], shares_SMBH]).transpose(0, 1)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Points a member is asked for, unknown ones too, as the losses count them."""
        return {"points": torch.tensor(len(batch["outsample"]) * batch["outsample"].shape[-1])}

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

    def scores(self) -> Accumulator:
        return MeanAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        """sMAPE and MASE of the median, of windows common to all members, over those known in full."""
        assert isinstance(accumulator, MeanAccumulator) and batch["outsample"].ndim == 2
        if self._middle:
            forecasts_MBH = self.components(batch).sum(1).double()
            add_scores(median(forecasts_MBH[self._middle]), batch, accumulator)

    @torch.no_grad()
    def forecast(self, windows: Batch) -> tuple[Tensor, dict[str, Tensor], dict[int, tuple[Tensor, Tensor]]]:
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
            low_BH, high_BH = (median(all_MSBH[self._by_loss[share]].sum(1)) for share in _shares(level))
            intervals[level] = torch.minimum(low_BH, middle_BH), torch.maximum(high_BH, middle_BH)
        return middle_BH, components | {"ensemble": middle_BH - mean_SBH.sum(0)}, intervals

    @property
    def together(self) -> int:
        """Series to forecast at a time."""
        return max(1, FORECAST_WINDOWS // len(self.plan))

    def _of_members(self, tensor: Tensor, ndim: int) -> Tensor:
        """(M, B, ...) of windows (B, M, ...), or of windows (B, ...) that all members share."""
        if tensor.ndim == ndim:
            return tensor.expand(len(self.plan), *tensor.shape)
        return tensor.transpose(0, 1)


def _shares(level: int) -> tuple[float, float]:
    """The quantiles that bound an interval of `level` per cent."""
    return (100 - level) / 200, (100 + level) / 200


class FittedNBEATS:
    """A trained ensemble of one frequency."""

    def __init__(self, learner: EnsembleForecaster, *, lookback: int, curves: Curve) -> None:
        self.learner, self._lookback, self.curves = learner.eval(), lookback, curves

    def forecast(self, series: SeriesSet) -> Forecasts:
        windows = Windows(series, lookback=self._lookback)
        count = self.learner.together
        found = [
            self.learner.forecast(windows.at_end(first, count)) for first in range(0, len(series), count)
        ]
        _, names, levels = found[0]
        return Forecasts(
            torch.cat([middle_BH for middle_BH, _, _ in found]).numpy(),
            {name: torch.cat([shares[name] for _, shares, _ in found]).numpy() for name in names},
            {level: _ends([intervals[level] for _, _, intervals in found]) for level in levels},
        )

    def save(self, path: Path) -> None:
        write_weights(path.with_suffix(".safetensors"), self.learner.state_dict())


def _ends(intervals: list[tuple[Tensor, Tensor]]) -> tuple[Floats, Floats]:
    low, high = (torch.cat(ends).numpy() for ends in zip(*intervals, strict=True))
    return low, high


class NBEATSFrequencySettings(FrequencySettings):
    """Those of an ensemble of N-BEATS."""

    seasons: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description="in points: members forecast departures from the longest of these that their window "
        "holds, its last one over and over; what they see follows `level`",
    )


class NBEATSForecasterConfig(Strict):
    """A median ensemble of N-BEATS networks."""

    name: Literal["nbeats"]
    model: Annotated[NBEATSConfig | NBEATSxConfig, Field(discriminator="name")]
    lookbacks: tuple[int, ...] = Field(min_length=1, description="in horizons; the paper: 2 to 7")
    losses: tuple[LossName, ...] = Field(min_length=1)
    repeats: int = Field(1, ge=1, description="members per lookback and loss; the paper: 10")
    levels: tuple[Level, ...] = Field(
        (), description="intervals; each asks for two more members per lookback and repeat, by pinball loss"
    )
    together: int | None = Field(
        None,
        ge=1,
        description="members trained at once, where memory does not hold all; null: all of them",
    )
    history_horizons: float = Field(
        10.0, gt=0, description="L_H: cuts are drawn from the last L_H x horizon points of a series"
    )
    level: Literal["zero", "last"] = Field(
        "zero",
        description="zero: as in the paper; last: networks see and forecast departures from the last value "
        "that is known",
    )
    by_frequency: dict[str, NBEATSFrequencySettings] = Field(
        {}, description="what differs for some frequencies"
    )

    def fit(self, series: SeriesSet, *, valid: SeriesSet | None, fitting: Fitting) -> FittedNBEATS:
        """Train on `series`; `valid` holds the horizon after it, for the curves, and decides nothing."""
        from seedbed.training.trainer import train

        assert fitting.training is not None, "ForecastRecipe asks for it"
        own = self.by_frequency.get(series.frequency, NBEATSFrequencySettings())
        training = own.training(
            fitting.training, where=f"{fitting.label}: forecaster.by_frequency.{series.frequency}"
        )
        lookback, facts = self._lookback(series.config), facts_of(series)

        def batches() -> Iterator[dict[str, Tensor]]:
            if valid is not None:
                windows, count = Windows(series, lookback=lookback), part.together
                for first in range(0, len(series), count):
                    yield windows.before(valid, first, count)

        members = len(self.plan(horizon=1, seed=0))
        spread = Shares.of(members, together=self.together, fitting=fitting)
        for own_part in spread.own:
            horizon, label = series.config.horizon, own_part.label
            part = EnsembleForecaster(
                self,
                horizon=horizon,
                seed=training.seed,
                only=own_part.only,
                facts=facts,
                seasons=own.seasons,
            )
            presentations = WindowPresentations(
                series,
                lookback=lookback,
                seeds=[member.seed for member in part.plan],
                history_horizons=own.history_horizons or self.history_horizons,
            )
            with fitting.tracker.child(label) if label else nullcontext(fitting.tracker) as tracker:
                trained = train(
                    part,
                    data=presentations,
                    valid=batches,
                    recipe=training,
                    # a window fills about as much memory as a token of an encoder
                    example_tokens=len(part.plan),
                    machine=self._machine(fitting.machine),
                    scratch=fitting.scratch / label,
                    tracker=tracker,
                    label=f"{fitting.label} {label}".strip(),
                    alone=spread.alone,
                )
            spread.add(own_part, part.state_dict(), trained.curves)
        state, curves = spread.whole()
        learner = (
            part
            if len(spread.parts) == 1
            else self.build(series.config, seed=training.seed, facts=facts, seasons=own.seasons)
        )
        learner.load_state_dict(state)
        return FittedNBEATS(learner, lookback=lookback, curves=curves)

    def load(self, path: Path, frequency: FrequencyConfig) -> FittedNBEATS:
        """Read what `save` wrote; the file is called by the frequency's name."""
        file = path.with_suffix(".safetensors")
        weights = read_tensors(file)
        own = self.by_frequency.get(path.with_suffix("").name, NBEATSFrequencySettings())
        learner = self.build(frequency, seed=0, facts=facts_in(weights), seasons=own.seasons)
        fill(learner, weights, path=file)
        return FittedNBEATS(learner, lookback=self._lookback(frequency), curves=[])

    def build(
        self,
        frequency: FrequencyConfig,
        *,
        seed: int,
        facts: Facts | None = None,
        seasons: Sequence[int] = (),
    ) -> EnsembleForecaster:
        return EnsembleForecaster(self, horizon=frequency.horizon, seed=seed, facts=facts, seasons=seasons)

    def plan(self, *, horizon: int, seed: int) -> list[Member]:
        """The members, those for the middle first."""
        quantiles = tuple(share for level in self.levels for share in _shares(level))
        return [
            member
            for losses in (self.losses, quantiles)
            for member in members(
                lookbacks=self.lookbacks, losses=losses, repeats=self.repeats, horizon=horizon, seed=seed
            )
        ]

    def _machine(self, machine: Machine) -> Machine:
        small = max(stack.width for stack in self.model.stacks) <= SMALL_WIDTH
        return machine.model_copy(update={"threads": 1}) if small else machine

    def _lookback(self, frequency: FrequencyConfig) -> int:
        """The longest window any member takes."""
        return max(self.lookbacks) * frequency.horizon
