"""What every forecaster promises: fit on series of one frequency, forecast, save; and what it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seedbed import metrics
from seedbed.config import Machine
from seedbed.forecasting.panels import SeriesSet
from seedbed.forecasting.panels.pieces import in_pieces
from seedbed.tracking import Run
from seedbed.training import Training

Floats = NDArray[np.float64]
Curve = list[tuple[int, str, float]]
Level = Annotated[int, Field(ge=1, le=99, description="per cent of the values that an interval should hold")]


@dataclass(frozen=True)
class Forecasts:
    """Point forecasts (N series, H points); `components` add up to them to 1e-6 of the series' size.

    `intervals`: by level in per cent the low and the high end (N, H); nan where a series has none.
    """

    values_NH: Floats
    components: Mapping[str, Floats] = field(default_factory=dict)
    intervals: Mapping[int, tuple[Floats, Floats]] = field(default_factory=dict)


def joined(parts: Sequence[Forecasts]) -> Forecasts:
    """Forecasts of series that follow one another, as one."""
    first = parts[0]
    return Forecasts(
        np.concatenate([part.values_NH for part in parts]),
        {name: np.concatenate([part.components[name] for part in parts]) for name in first.components},
        {
            level: (
                np.concatenate([part.intervals[level][0] for part in parts]),
                np.concatenate([part.intervals[level][1] for part in parts]),
            )
            for level in first.intervals
        },
    )


@dataclass(frozen=True)
class Fitting:
    """Means of a fit: recipe, machine, a scratch folder of its own, tracking run, label of the progress."""

    training: Training | None
    machine: Machine
    scratch: Path
    tracker: Run
    label: str
    model: Path | None = None
    """The folder of the forecast run that the recipe names, if any."""


class Fitted(Protocol):
    """A forecaster of one frequency, ready to forecast."""

    curves: Curve

    def forecast(self, series: SeriesSet) -> Forecasts:
        """The horizon after each series' last point."""
        ...

    def save(self, path: Path) -> None:
        """Write what was learned to `path`.safetensors; nothing when nothing was."""
        ...


def forecast_values(fitted: Fitted, series: SeriesSet) -> Floats:
    """The point forecasts (N, H) alone, some series at a time: the components of all are never there."""
    return np.concatenate([fitted.forecast(piece).values_NH for _, piece in in_pieces(series)])


def score(forecast_NH: Floats, actual: SeriesSet, *, history: SeriesSet) -> dict[str, float]:
    """Mean sMAPE and MASE over the series; MASE over those where it is defined."""
    return mean_errors(*errors(forecast_NH, actual, history=history))


def errors(forecast_NH: Floats, actual: SeriesSet, *, history: SeriesSet) -> tuple[Floats, Floats]:
    """sMAPE and MASE of each series."""
    season = actual.config.seasonality
    smapes = [metrics.smape(actual.series(i), forecast_NH[i]) for i in range(len(actual))]
    mases = [
        metrics.mase(actual.series(i), forecast_NH[i], history=history.series(i), seasonality=season)
        for i in range(len(actual))
    ]
    return np.asarray(smapes), np.asarray(mases)


def mean_errors(smape_N: Floats, mase_N: Floats) -> dict[str, float]:
    """What `score` tells of errors by series."""
    defined = mase_N[np.isfinite(mase_N)]
    return {"smape": float(np.mean(smape_N))} | ({"mase": float(defined.mean())} if defined.size else {})
