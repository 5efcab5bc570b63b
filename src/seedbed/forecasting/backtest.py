"""Backtests: one forecaster of a whole panel at several origins, each seeing only what came before it.

Rolling origins (Tashman 2000): the cutoffs of each series lie `step` points apart, the last a horizon before
its end. What a forecaster is given is a copy that ends at the cutoff: weights, scales and calendars have no
later value to learn from. Without `refit` the forecaster is fitted once, before the first cutoff, and then
forecasts from each.

A series with fewer than two known points before a cutoff is not in that window, nor are rows of it there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.forecasting.fitting import Fitted, Forecasts
from seedbed.forecasting.panels import MIN_TRAIN, SeriesSet
from seedbed.forecasting.panels.pieces import in_pieces

if TYPE_CHECKING:
    import polars as pl

ORDER = ("unique_id", "cutoff", "ds")
FitAt = Callable[[SeriesSet, int], Fitted]
"""Fits on series that end at a cutoff; the number is how many points of each follow it."""


class BacktestConfig(Strict):
    """Which origins a backtest has."""

    windows: int = Field(1, ge=1, description="cutoffs of each series; the last is a horizon before its end")
    step: int | None = Field(
        None, ge=1, description="points between cutoffs; a horizon unless told otherwise"
    )
    refit: bool = Field(False, description="fit again at each cutoff; otherwise once, at the first")

    def behind(self, number: int, horizon: int) -> int:
        """The points after the cutoff of a window, which is counted from the last, 0."""
        return horizon + number * (self.step or horizon)


@dataclass(frozen=True)
class Window:
    """An origin: what was known, what came, what was forecast (the same series in the same order)."""

    history: SeriesSet
    actual: SeriesSet
    forecasts: Forecasts


@dataclass(frozen=True)
class Origin:
    """A window before its forecasts are made: what they are made by, what was known, what came."""

    fitted: Fitted
    history: SeriesSet
    actual: SeriesSet

    def window(self) -> Window:
        return Window(self.history, self.actual, self.fitted.forecast(self.history))

    def pieces(self) -> Iterator[Window]:
        """The window in parts, some series at a time."""
        for numbers, history in in_pieces(self.history):
            whole = len(history) == len(self.history)
            actual = self.actual if whole else self.actual.part(numbers)
            yield Origin(self.fitted, history, actual).window()


def backtest(series: SeriesSet, config: BacktestConfig, *, fit: FitAt) -> list[Window]:
    """The windows from the earliest to the last; UserError where no series is long enough for one."""
    return [origin.window() for origin in origins(series, config, fit=fit)]


def origins(series: SeriesSet, config: BacktestConfig, *, fit: FitAt) -> Iterator[Origin]:
    """The windows of `backtest` one after the other, without their forecasts."""
    horizon = series.config.horizon
    fitted: Fitted | None = None
    for number in reversed(range(config.windows)):
        behind = config.behind(number, horizon)
        whole = _long_enough(series, behind, number)
        history = whole.without_last(behind)
        if fitted is None or config.refit:
            fitted = fit(history, behind)
        actual = whole.without_last(behind - horizon).last(horizon)
        yield Origin(fitted, history, actual)


def windows_within(series: SeriesSet, config: BacktestConfig) -> int:
    """How many of the windows, the last ones, some series is long enough for."""
    horizon = series.config.horizon
    return next(
        (n for n in range(config.windows) if not _kept(series, config.behind(n, horizon)).size),
        config.windows,
    )


def _kept(series: SeriesSet, behind: int) -> NDArray[np.int64]:
    return np.flatnonzero(series.known(before_last=behind) >= MIN_TRAIN)


def _long_enough(series: SeriesSet, behind: int, number: int) -> SeriesSet:
    kept = _kept(series, behind)
    if not kept.size:
        raise UserError(
            f"backtest of {series.frequency}: window {number + 1} from the end needs {behind + MIN_TRAIN} "
            f"points before the test part, the longest series has {series.lengths.max()}; take fewer windows "
            "or a shorter step"
        )
    return series if kept.size == len(series) else series.take(kept)


def cross_validation(windows: Sequence[Window], *, column: str) -> "pl.DataFrame":
    """As Nixtla's `cross_validation`: unique_id, ds, cutoff, y and the model's column, by series and cutoff.

    Beside them `frequency`, and the intervals and components of forecasters that have any.
    """
    import polars as pl

    return pl.concat([window_table(window, column=column) for window in windows]).sort(ORDER)


def window_table(window: Window, *, column: str) -> "pl.DataFrame":
    """One window's part of `cross_validation`."""
    import polars as pl

    from seedbed.forecasting.saved import forecast_table

    table = forecast_table(window.history, window.forecasts, column=column)
    return table.insert_column(3, pl.Series("y", window.actual.values))


def mean_scores(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over windows, of those that have a score."""
    return {
        name: float(np.mean([one[name] for one in each if name in one]))
        for name in ("smape", "mase")
        if any(name in one for one in each)
    }
