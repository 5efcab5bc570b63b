"""Forecasters on disk, and forecasts as tables in long format.

A folder holds forecaster.json and, of trained ones, members/<frequency>.safetensors; `load_forecaster`
gives it back, ready for new series.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed.config import Strict, UserError
from seedbed.forecasting import Forecaster
from seedbed.forecasting.calendar import Step
from seedbed.forecasting.fitting import Fitted, Forecasts
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet, read_series, to_time

if TYPE_CHECKING:
    import polars as pl

CARD, WEIGHTS = "forecaster.json", "members"


class Card(Strict):
    """What a saved forecaster is."""

    run: str
    forecaster: Forecaster
    frequencies: dict[str, FrequencyConfig]


class SavedForecaster:
    """A fitted forecaster of one or several frequencies."""

    def __init__(self, card: Card, fitted: Mapping[str, Fitted]) -> None:
        self.card, self._fitted = card, fitted

    def forecast(self, table: "pl.DataFrame") -> "pl.DataFrame":
        """The horizon after each series of a table in long format; UserError as for a panel.

        Without a column `frequency` the forecaster must know only one.
        """
        import polars as pl

        given = set(table["frequency"].unique().to_list()) if "frequency" in table.columns else None
        frequencies = {
            name: config for name, config in self.card.frequencies.items() if given is None or name in given
        }
        sets = read_series(table, frequencies or self.card.frequencies, where="series to forecast")
        tables = []
        for one in sets:
            forecasts = self._fitted[one.frequency].forecast(one)
            tables.append(forecast_table(one, forecasts, column=self.card.run))
        return pl.concat(tables)


def save_forecaster(folder: Path, card: Card, fitted: Mapping[str, Fitted]) -> None:
    """Write what `load_forecaster` reads."""
    (folder / WEIGHTS).mkdir(parents=True, exist_ok=True)
    # keys unsorted: the order of the frequencies is the order of the forecasts
    text = json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")
    for name, one in fitted.items():
        one.save(folder / WEIGHTS / f"{name}.safetensors")
    if not any((folder / WEIGHTS).iterdir()):
        (folder / WEIGHTS).rmdir()


def load_forecaster(folder: Path) -> SavedForecaster:
    """A forecaster that a forecast run published."""
    path = folder / CARD
    if not path.is_file():
        raise UserError(f"{path}: no such file; name the folder of a forecast run (models/forecast/<run>)")
    card = Card.parse(json.loads(path.read_text(encoding="utf-8")), str(path))
    fitted: dict[str, Fitted] = {}
    for name, config in card.frequencies.items():
        weights = folder / WEIGHTS / f"{name}.safetensors"
        if card.forecaster.name == "nbeats" and not weights.is_file():
            raise UserError(f"{weights}: no such file; make the run again: dvc repro forecast@{card.run}")
        fitted[name] = card.forecaster.load(weights, config)
    return SavedForecaster(card, fitted)


def forecast_table(series: SeriesSet, forecasts: Forecasts, *, column: str) -> "pl.DataFrame":
    """unique_id, ds, cutoff (last date seen), frequency, the forecast under `column`, intervals, components.

    The ends of an interval are `<column>-lo-90` and `<column>-hi-90`, as Nixtla's libraries name them.
    """
    import polars as pl

    horizon = series.config.horizon
    step = Step.parse(series.config.step)
    ahead = np.concatenate([step.continue_after(series.dates(i), horizon) for i in range(len(series))])
    cutoffs = np.repeat(series.instants[series.offsets[1:] - 1], horizon)
    columns = {column: forecasts.values_NH}
    for level, (low_NH, high_NH) in sorted(forecasts.intervals.items()):
        columns |= {f"{column}-lo-{level}": low_NH, f"{column}-hi-{level}": high_NH}
    columns |= forecasts.components
    return pl.DataFrame(
        {
            "unique_id": [unique_id for unique_id in series.ids for _ in range(horizon)],
            "ds": to_time(ahead, series.time),
            "cutoff": to_time(cutoffs, series.time).rename("cutoff"),
            "frequency": [series.frequency] * len(ahead),
            **{name: values_NH.reshape(-1) for name, values_NH in columns.items()},
        }
    )
