"""Forecasts of a table, with nothing configured: what it is, is inferred; what forecasts it, is a default.

The default's models (default.py) are each fitted without the last horizon first, so that the user hears how
well they do, then on everything. Intervals are conformal, of the first of them.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import Field

from seedbed.config import Machine, UserError
from seedbed.forecasting import Forecaster
from seedbed.forecasting.asked import (
    ColumnOptions,
    CovariateOptions,
    Levels,
    as_table,
    check_named,
    horizon_ahead,
    only,
    unread,
)
from seedbed.forecasting.backtest import Window
from seedbed.forecasting.calendar import PATTERN
from seedbed.forecasting.conformal import Calibration
from seedbed.forecasting.default import default_models, default_training
from seedbed.forecasting.fitting import Fitted, Fitting, score
from seedbed.forecasting.forecaster import NBEATSForecasterConfig
from seedbed.forecasting.held_out import calibrated
from seedbed.forecasting.infer import describe, infer_frequencies, infer_steps
from seedbed.forecasting.panels import (
    MIN_TRAIN,
    CovariatesConfig,
    FrequencyConfig,
    Gaps,
    Rules,
    SeriesSet,
    gather,
    learnable,
    train_and_valid,
)
from seedbed.forecasting.panels.checks import prepare
from seedbed.forecasting.panels.sieve import OF_A_TABLE, Advice, OnFault, Sieve
from seedbed.forecasting.saved import Card, columns_of, forecast_table
from seedbed.tracking import SilentRun

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class TableOptions(CovariateOptions, ColumnOptions):
    """What may be said of a table; what is not, is inferred or a default."""

    step: str | None = Field(None, pattern=f"^{PATTERN}$", description="1mo, 1d, 15m ...; 1i of integers")
    horizon: int | None = Field(None, ge=1, description="points to forecast")
    seasonality: int | None = Field(None, ge=1, description="points per season; 1: none")
    levels: Levels = Field(
        (), description="per cent that intervals should hold, [80,95]; calibrated on a backtest"
    )
    gaps: Gaps = "keep"
    on_fault: OnFault = Field("refuse", description="leave_out: leave faulty series out, with a count")
    max_steps: int = Field(300, ge=40, description="of training; more learn more")
    seed: int = Field(1, ge=0)


@dataclass(frozen=True)
class Outcome:
    """Forecasts, what made them, and what the user should hear."""

    forecasts: "pl.DataFrame"
    """unique_id, ds and a column for each model, the first of them the one that is saved."""
    card: Card
    fitted: Mapping[str, Fitted]
    calibrations: Mapping[str, Calibration]
    lines: list[str]
    notices: list[str]
    """Of the lines those about the table: gaps, series left out, columns not read."""


def forecast_frame(
    frame: "pd.DataFrame | pl.DataFrame", *, machine: Machine | None = None, **options: Any
) -> "pd.DataFrame | pl.DataFrame":
    """Forecasts of the series in a pandas or polars frame (unique_id, ds, y), as a frame of the same kind.

    `options` are those of `TableOptions`: horizon=12, step="1mo", seasonality=12, on_fault="leave_out" ...
    UserError names series and row of the first fault; gaps, series left out and columns not read are warned
    of.
    """
    import polars as pl

    plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in options.items()}
    chosen = TableOptions.parse(plain, "forecast_frame")
    table = chosen.renamed(as_table(frame), "frame")
    made = forecast_once(table, chosen, where="frame", machine=machine or Machine())
    for line in made.notices:
        warnings.warn(f"frame: {line}", stacklevel=2)
    forecasts = chosen.restored(made.forecasts)
    return forecasts if isinstance(frame, pl.DataFrame) else forecasts.to_pandas()


def forecast_once(table: "pl.DataFrame", options: TableOptions, *, where: str, machine: Machine) -> Outcome:
    """Infer, check, fit and forecast."""
    import polars as pl

    given = gathered(table, options, where=where, needs_test=False)
    called, models = default_models(given.sets, given.covariates)
    tables, fitted, calibrations, lines = [], {}, {}, [*given.told, *given.notices]
    with TemporaryDirectory() as scratch:
        for one in given.sets:
            own = []
            for name, forecaster in models.items():
                where_fitted = Path(scratch) / one.frequency / name
                chosen = options if name == called else options.model_copy(update={"levels": ()})
                made, calibration, told = _fit_twice(forecaster, one, chosen, machine, where_fitted)
                forecasts = made.forecast(one)
                lines += [f"{one.frequency}: {name}: {line}" for line in told]
                if name == called:
                    fitted[one.frequency] = made
                if calibration is not None:
                    calibrations[one.frequency] = calibration
                    forecasts = calibration.around(forecasts, one)
                table = forecast_table(one, forecasts, column=name)
                own.append(table.select("unique_id", "ds", *columns_of(name, table.columns)))
            tables.append(
                pl.concat([own[0], *(part.select(part.columns[-1]) for part in own[1:])], how="horizontal")
            )
    frequencies = {one.frequency: one.config for one in given.sets}
    card = Card(run=called, forecaster=models[called], frequencies=frequencies, covariates=given.covariates)
    return Outcome(pl.concat(tables), card, fitted, calibrations, lines, given.notices)


@dataclass(frozen=True)
class Given:
    """A table checked: a set of series for each frequency, its covariates, what the user should hear."""

    sets: tuple[SeriesSet, ...]
    covariates: CovariatesConfig
    told: list[str]
    """What the table was taken for."""
    notices: list[str]
    """What is missing, left out or not read."""


def gathered(table: "pl.DataFrame", options: TableOptions, *, where: str, needs_test: bool) -> Given:
    """The series of a table, what nobody said of them inferred; `needs_test` as in Rules."""
    sieve = Sieve(where, options.on_fault, OF_A_TABLE)
    covariates = options.covariates(where)
    check_named(table, covariates, where)
    not_read = unread(table, covariates)
    table = only(prepare(table, sieve), covariates.names)
    table, frequencies = infer_frequencies(
        table,
        where=where,
        step=options.step,
        horizon=options.horizon or (horizon_ahead(table) if covariates.future else None),
        seasonality=options.seasonality,
    )
    rules = Rules(frequencies, options.gaps, needs_test=needs_test, covariates=covariates)
    sets, counts = gather([table], rules, sieve=sieve)
    _check_horizon(sets, where)
    told = [f"{counts.series} series, {describe({one.frequency: one.config for one in sets})}"]
    if covariates:
        told.append(f"covariates {covariates}")
    return Given(sets, covariates, told, [*counts.lines(), *not_read])


def _fit_twice(
    forecaster: Forecaster, series: SeriesSet, options: TableOptions, machine: Machine, scratch: Path
) -> tuple[Fitted, Calibration | None, list[str]]:
    """Fitted on everything, its intervals if asked for, and how it does on the last horizon without it."""
    training = default_training(max_steps=options.max_steps, seed=options.seed)

    def fit(part: SeriesSet, name: str) -> Fitted:
        fitting = Fitting(
            training, machine, scratch / name, SilentRun(), f"forecast {series.frequency} {name}"
        )
        return forecaster.fit(part, valid=None, fitting=fitting)

    train, valid = train_and_valid(series)
    lines, calibration = ["no series is long enough to be scored on its last horizon"], None
    if len(train):
        forecasts = fit(train, "scored").forecast(train)
        scores = score(forecasts.values_NH, valid, history=train)
        told = ", ".join(f"{key} {value:.3f}" for key, value in scores.items())
        lines = [f"{told} on the last {series.config.horizon} points of {len(train)} series"]
    if options.levels and len(train):
        last = Window(train, valid, forecasts)
        calibration, told = calibrated(last, options.levels, fit=lambda part: fit(part, "backtest"))
        lines.append(told)
    elif options.levels:
        raise UserError(
            f"{series.frequency}: {lines[0]}, so intervals have no errors to stand on; leave levels out"
        )
    learned = learnable(series) if isinstance(forecaster, NBEATSForecasterConfig) else series
    if not len(learned):
        raise UserError(
            f"{series.frequency}: no series has more than one known point, {series.ids[0]} neither; "
            f"{MIN_TRAIN} are needed to learn from: give more rows, or leave these series out"
        )
    if few := len(series) - len(learned):
        lines.append(f"{few} series of one known point are forecast, but not learned from")
    return fit(learned, "whole"), calibration, lines


def _check_horizon(sets: tuple[SeriesSet, ...], where: str) -> None:
    for one in sets:
        longest = int(one.lengths.argmax())
        if one.config.horizon > one.lengths[longest]:
            raise UserError(
                f"{where}: the horizon {one.config.horizon} is longer than any series: {one.ids[longest]} "
                f"has most points, {one.lengths[longest]}; give a smaller one, horizon=N"
            )


def saved_advice(frequencies: Mapping[str, FrequencyConfig]) -> Advice:
    """The step is the saved forecaster's own."""
    known = ", ".join(f"{name} ({config.step})" for name, config in frequencies.items())
    return replace(
        OF_A_TABLE,
        step=f"leave the series out: the saved forecaster knows {known}; or forecast it without model=",
    )


def matched(
    table: "pl.DataFrame", frequencies: Mapping[str, FrequencyConfig], *, sieve: Sieve
) -> "pl.DataFrame":
    """The table with a column frequency, of the names that a saved forecaster knows its steps by."""
    import polars as pl

    table = prepare(table, sieve)
    if "frequency" in table.columns or len(frequencies) == 1:
        return table
    names = {config.step: name for name, config in frequencies.items()}
    steps = infer_steps(table, where=sieve.where)
    unknown = steps.filter(~pl.col("step").is_in(list(names)))
    if unknown.height:
        known = ", ".join(f"{name} ({step})" for step, name in names.items())
        raise UserError(
            f"{sieve.where}: series {unknown['unique_id'][0]} has step {unknown['step'][0]}, the saved "
            f"forecaster knows {known}; leave it out, or forecast it without model="
        )
    steps = steps.select("unique_id", frequency=pl.col("step").replace(names))
    return table.join(steps, on="unique_id", how="left", maintain_order="left")
