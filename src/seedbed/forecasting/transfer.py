"""Zero-shot forecasts: the members of another forecast run, on series that they have never seen.

Oreshkin, Carpov, Chapados, Bengio 2021, "Meta-learning framework with applications to zero-shot time-series
forecasting" (arXiv 2002.02887): trained on one panel, N-BEATS forecasts another with no training on it.

Nothing is learned, so the valid part is as unseen as the test part. Windows are as long as the other run
took them: lookbacks count in its horizons. A shorter horizon is the beginning of the trained one.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from seedbed.config import Strict, UserError
from seedbed.forecasting.fitting import Curve, Fitted, Fitting, Floats, Forecasts
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet

TRAINED = ("nbeats", "network", "distributional")
"""Forecasters that keep what they learned; any other learns each series anew, wherever it comes from."""


def match(wanted: str, config: FrequencyConfig, trained: Mapping[str, FrequencyConfig], *, where: str) -> str:
    """The trained frequency of the same name, or else the only one of the same step; the horizon must fit.

    Integer steps (`1i`) say nothing of a frequency, so they match by name alone. `where` begins faults.
    """
    known = ", ".join(f"{name} ({one.step}, horizon {one.horizon})" for name, one in trained.items())
    steps = [name for name, one in trained.items() if one.step == config.step and not _counts(one.step)]
    name = wanted if wanted in trained else steps[0] if len(steps) == 1 else None
    if name is None:
        raise UserError(f"{where}: {wanted} ({config.step}) matches no frequency of {known}; leave it out")
    own = trained[name]
    if own.step != config.step and not _counts(own.step) and not _counts(config.step):
        raise UserError(
            f"{where}: {wanted} has step {config.step} here and {own.step} where it was trained; rename it"
        )
    if config.horizon > own.horizon:
        raise UserError(
            f"{where}: horizon {config.horizon} of {wanted} is longer than the {own.horizon} that was "
            "trained; shorten it, or transfer a run of a longer one"
        )
    return name


def _counts(step: str) -> bool:
    return step.endswith("i")


class FittedTransfer:
    """Another run's forecaster of one frequency, cut to the horizon of the series it gets."""

    def __init__(self, fitted: Fitted, trained: FrequencyConfig) -> None:
        self._fitted, self._trained = fitted, trained
        self.curves: Curve = []

    def forecast(self, series: SeriesSet) -> Forecasts:
        horizon = series.config.horizon
        as_trained = replace(
            series, config=series.config.model_copy(update={"horizon": self._trained.horizon})
        )
        found = self._fitted.forecast(as_trained)

        def cut(values_NH: Floats) -> Floats:
            return values_NH[:, :horizon]

        return Forecasts(
            cut(found.values_NH),
            {name: cut(values_NH) for name, values_NH in found.components.items()},
            {level: (cut(low_NH), cut(high_NH)) for level, (low_NH, high_NH) in found.intervals.items()},
        )

    def save(self, path: Path) -> None:
        """What was learned lies in the other run's folder."""


class TransferConfig(Strict):
    """The members of the forecast run that the recipe's `model` names."""

    name: Literal["transfer"]

    def fit(self, series: SeriesSet, *, valid: SeriesSet | None, fitting: Fitting) -> FittedTransfer:
        """Nothing is fitted: the other run's folder is opened."""
        from seedbed.forecasting.saved import load_forecaster

        assert fitting.model is not None, "ForecastRecipe asks for it"
        saved = load_forecaster(fitting.model)
        name = match(series.frequency, series.config, saved.card.frequencies, where=fitting.label)
        return FittedTransfer(saved.fitted[name], saved.card.frequencies[name])

    def load(self, path: Path, frequency: FrequencyConfig) -> FittedTransfer:
        """A transfer keeps no members of its own."""
        raise UserError(
            f"{path.parent.parent}: forecasts with another run's members and has none; name that run's folder"
        )
