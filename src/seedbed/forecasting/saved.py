"""Forecasters on disk, and forecasts as tables in long format.

A folder holds forecaster.json, of trained ones members/<frequency>.safetensors, and calibration.json where
its intervals are conformal; `load_forecaster` gives it back, ready for new series.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.forecasting import Forecaster
from seedbed.forecasting.calendar import Step
from seedbed.forecasting.calibration_file import read_calibrations, write_calibrations
from seedbed.forecasting.conformal import Calibration
from seedbed.forecasting.fitting import Fitted, Forecasts
from seedbed.forecasting.panels import (
    Counts,
    CovariatesConfig,
    FrequencyConfig,
    Gaps,
    Rules,
    SeriesSet,
    gather,
    repeat_ids,
    to_time,
)
from seedbed.forecasting.panels.covariates import NO_COVARIATES
from seedbed.forecasting.panels.sieve import OF_A_TABLE, OnFault, Sieve

if TYPE_CHECKING:
    import polars as pl

CARD, WEIGHTS = "forecaster.json", "members"


class Card(Strict):
    """What a saved forecaster is."""

    run: str
    forecaster: Forecaster
    frequencies: dict[str, FrequencyConfig]
    covariates: CovariatesConfig = NO_COVARIATES
    calibration: str | None = Field(None, description="sha256 of calibration.json; null: there is none")


class SavedForecaster:
    """A fitted forecaster of one or several frequencies, with its calibration where it has one."""

    def __init__(
        self, card: Card, fitted: Mapping[str, Fitted], calibrations: Mapping[str, Calibration]
    ) -> None:
        self.card, self.fitted, self._calibrations = card, fitted, calibrations

    def forecast(
        self,
        table: "pl.DataFrame",
        *,
        where: str = "series to forecast",
        gaps: Gaps = "keep",
        on_fault: OnFault = "refuse",
    ) -> "pl.DataFrame":
        """The horizon after each series of a table in long format; UserError as for a panel.

        Without a column `frequency` the forecaster must know only one.
        """
        return self.forecast_counted(table, sieve=Sieve(where, on_fault, OF_A_TABLE), gaps=gaps)[0]

    def forecast_counted(
        self, table: "pl.DataFrame", *, sieve: Sieve, gaps: Gaps
    ) -> tuple["pl.DataFrame", Counts]:
        """`forecast`, and what was left out and missing."""
        import polars as pl

        given = set(table["frequency"].unique().to_list()) if "frequency" in table.columns else None
        frequencies = {
            name: config for name, config in self.card.frequencies.items() if given is None or name in given
        }
        needed = self.card.covariates
        for name in needed.names:
            if name not in table.columns:
                raise UserError(
                    f"{sieve.where}: no column {name!r}; the saved forecaster {self.card.run} was trained "
                    f"with covariates {needed} and needs them again; add the column"
                )
        rules = Rules(frequencies or self.card.frequencies, gaps, needs_test=False, covariates=needed)
        sets, counts = gather([table], rules, sieve=sieve)
        tables = []
        for one in sets:
            forecasts = self.fitted[one.frequency].forecast(one)
            if one.frequency in self._calibrations:
                forecasts = self._calibrations[one.frequency].around(forecasts, one)
            tables.append(forecast_table(one, forecasts, column=self.card.run))
        return pl.concat(tables, how="diagonal"), counts


def save_forecaster(
    folder: Path,
    card: Card,
    fitted: Mapping[str, Fitted],
    calibrations: Mapping[str, Calibration] | None = None,
) -> None:
    """Write what `load_forecaster` reads."""
    weights = folder / WEIGHTS
    weights.mkdir(parents=True, exist_ok=True)
    for name, one in fitted.items():
        one.save(weights / f"{name}.safetensors")
    if not any(weights.iterdir()):
        weights.rmdir()
    if calibrations:
        card = card.model_copy(
            update={"calibration": write_calibrations(folder, calibrations, weights=weights)}
        )
    # keys unsorted: the order of the frequencies is the order of the forecasts
    text = json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def load_forecaster(folder: Path) -> SavedForecaster:
    """A forecaster that a forecast run published."""
    path = folder / CARD
    if not path.is_file():
        raise UserError(f"{path}: no such file; name the folder of a forecast run (models/forecast/<run>)")
    try:
        card = Card.parse(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as JSON: {error}; copy the whole folder again") from None
    fitted: dict[str, Fitted] = {}
    for name, config in card.frequencies.items():
        weights = folder / WEIGHTS / f"{name}.safetensors"
        if card.forecaster.name == "nbeats" and not weights.is_file():
            raise UserError(f"{weights}: no such file; make the run again: dvc repro forecast@{card.run}")
        fitted[name] = card.forecaster.load(weights, config)
    calibrations = read_calibrations(folder, digest=card.calibration, weights=folder / WEIGHTS)
    return SavedForecaster(card, fitted, calibrations)


def forecast_table(series: SeriesSet, forecasts: Forecasts, *, column: str) -> "pl.DataFrame":
    """unique_id, ds, cutoff (last date seen), frequency, the forecast under `column`, intervals, components.

    The ends of an interval are `<column>-lo-90` and `<column>-hi-90`, as Nixtla's libraries name them.
    """
    import polars as pl

    step = Step.parse(series.config.step)
    horizons = np.full(len(series), series.config.horizon)
    cutoffs = np.repeat(series.cutoffs(), horizons)
    columns = {column: forecasts.values_NH}
    for level, (low_NH, high_NH) in sorted(forecasts.intervals.items()):
        columns |= {f"{column}-lo-{level}": low_NH, f"{column}-hi-{level}": high_NH}
    columns |= forecasts.components
    return pl.DataFrame(
        {
            "unique_id": repeat_ids(series.ids, horizons),
            "ds": to_time(series.ahead().reshape(-1), series.time, step),
            "cutoff": to_time(cutoffs, series.time, step).rename("cutoff"),
            "frequency": pl.repeat(series.frequency, len(cutoffs), dtype=pl.String, eager=True),
            **{name: values_NH.reshape(-1) for name, values_NH in columns.items()},
        }
    )


def columns_of(name: str, columns: Sequence[str]) -> list[str]:
    """Of a table's columns the forecast called `name` and the ends of its intervals."""
    ends = (f"{name}-lo-", f"{name}-hi-")
    return [column for column in columns if column == name or column.startswith(ends)]
