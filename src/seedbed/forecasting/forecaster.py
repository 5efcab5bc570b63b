"""The forecaster that is an ensemble of N-BEATS networks: its settings, how it is trained, saved and read.

Shape legend: B windows, H horizon.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from seedbed.config import Machine, Strict
from seedbed.forecasting.ensemble_learner import EnsembleForecaster, quantiles_of
from seedbed.forecasting.ensembling import Member, Origin, members
from seedbed.forecasting.exogenous import Facts, facts_in, facts_of
from seedbed.forecasting.fitting import Fitting, Level
from seedbed.forecasting.losses import LossName
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from seedbed.forecasting.spreading import Shares
from seedbed.forecasting.window_training import FittedOnWindows, FrequencySettings
from seedbed.forecasting.windows import WindowPresentations, Windows
from seedbed.models.nbeats import NBEATSConfig
from seedbed.models.nbeatsx import NBEATSxConfig
from seedbed.weights import fill, read_tensors

SMALL_WIDTH = 256
"""Products of matrices up to this size end before a second thread is awake."""


FittedNBEATS = FittedOnWindows[EnsembleForecaster]


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
    level: Origin = Field(
        "zero",
        description="zero: as in the paper; last: networks see and forecast departures from the last value "
        "that is known; last_scaled: departures over the largest in the window",
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
        quantiles = tuple(share for level in self.levels for share in quantiles_of(level))
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
