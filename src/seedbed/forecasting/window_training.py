"""What learns on windows: its training all at once (ensembles: forecaster.py), forecasts, weights on disk."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.config import Strict, UserError
from seedbed.forecasting.fitting import Curve, Fitting, Forecasts, joined
from seedbed.forecasting.panels import SeriesSet
from seedbed.forecasting.windows import WindowPresentations, Windows
from seedbed.learner import Accumulator, Batch, Learner, MeanAccumulator
from seedbed.training import Training
from seedbed.weights import fill, read_tensors, write_weights

VALID_SERIES = 4096
"""Series that are validated at a time."""


class FrequencySettings(Strict):
    """What one frequency has otherwise than the others; null: as they have it."""

    history_horizons: float | None = Field(None, gt=0)
    max_steps: int | None = Field(None, ge=1, description="in place of training.max_steps")

    def training(self, recipe: Training, *, where: str) -> Training:
        """The recipe with steps of its own; UserError, saying `where`, when they do not fit the rest."""
        if self.max_steps is None:
            return recipe
        return Training.parse(recipe.model_dump() | {"max_steps": self.max_steps}, where)


class WindowLearner(Learner):
    """Networks on windows, of one frequency."""

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Points a member is asked for, unknown ones too, as the losses count them."""
        return {"points": torch.tensor(len(batch["outsample"]) * batch["outsample"].shape[-1])}

    def scores(self) -> Accumulator:
        return MeanAccumulator()

    @property
    @abstractmethod
    def together(self) -> int:
        """Series to forecast at a time."""

    @abstractmethod
    def forecast(self, windows: Batch) -> Forecasts:
        """Of windows (B, ...) that end with their series, in the series' unit."""


Own = TypeVar("Own", bound=WindowLearner)


class FittedOnWindows(Generic[Own]):
    """A trained Learner of one frequency."""

    def __init__(self, learner: Own, *, lookback: int, curves: Curve) -> None:
        self.learner, self._lookback, self.curves = learner.eval(), lookback, curves

    def forecast(self, series: SeriesSet) -> Forecasts:
        windows, count = Windows(series, lookback=self._lookback), self.learner.together
        return joined(
            [self.learner.forecast(windows.at_end(first, count)) for first in range(0, len(series), count)]
        )

    def save(self, path: Path) -> None:
        write_weights(path.with_suffix(".safetensors"), self.learner.state_dict())


def train_on_windows(
    learner: Learner,
    series: SeriesSet,
    *,
    valid: SeriesSet | None,
    fitting: Fitting,
    lookback: int,
    seeds: Sequence[int],
    history_horizons: float,
) -> Curve:
    """The curves of `learner`, trained on windows drawn by each of `seeds`; `valid` decides nothing."""
    from seedbed.training.trainer import train

    assert fitting.training is not None, "ForecastRecipe asks for it"

    def batches() -> Iterator[dict[str, Tensor]]:
        if valid is not None:
            windows = Windows(series, lookback=lookback)
            for first in range(0, len(series), VALID_SERIES):
                yield windows.before(valid, first, VALID_SERIES)

    trained = train(
        learner,
        data=WindowPresentations(series, lookback=lookback, seeds=seeds, history_horizons=history_horizons),
        valid=batches,
        recipe=fitting.training,
        example_tokens=lookback * len(seeds),
        machine=fitting.machine,
        scratch=fitting.scratch,
        tracker=fitting.tracker,
        label=fitting.label,
    )
    return trained.curves


def read_weights(path: Path, learner: nn.Module) -> None:
    """Load what was saved under `path`, which has no suffix."""
    file = path.with_suffix(".safetensors")
    if not file.is_file():
        raise UserError(f"{file}: no such file; make the forecast run again: dvc repro")
    fill(learner, read_tensors(file), path=file)
