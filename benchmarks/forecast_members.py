"""Forecasts of every member of N-BEATS recipes, trained piece by piece and kept (for forecast_scores.py).

A piece is a fit of one recipe to one frequency by one seed and one loss. Its forecasts are a Parquet file, a
row for each member and series, named by all of these and a digest of what decides its figures: a program
that was stopped goes on where it was, and no other recipe is taken for this one. The repeats of the
paper's ensembles are seeds here.
"""

import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from seedbed.config import Machine
from seedbed.corpora import TestSplit
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.fitting import Fitting
from seedbed.forecasting.forecaster import FittedNBEATS, NBEATSForecasterConfig
from seedbed.forecasting.panels import Panel, SeriesSet
from seedbed.forecasting.windows import Windows
from seedbed.stages.compose import compose_run
from seedbed.tracking import SilentRun
from seedbed.training import Training

ROOT = Path(__file__).parents[1]
Part = Literal["valid", "test"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Members:
    """What was forecast for the series of one frequency: forecasts (M, N, H) in their unit, CPU seconds of
    all fits."""

    forecasts_MNH: Floats
    seconds: float


def parts(panel: Panel, part: Part) -> list[tuple[SeriesSet, SeriesSet]]:
    """Series to train on, and the horizon that follows them, of each frequency."""
    if part == "valid":
        return list(zip(panel.sets("train"), panel.valid(), strict=True))
    table = panel.test(TestSplit(opened_by="benchmarks/forecast_scores.py"))
    pairs = []
    for history in panel.sets("history"):
        own = {name: rows["y"].to_numpy() for (name,), rows in table.group_by("unique_id")}
        ahead = [own[name] for name in history.ids]
        pairs.append((history, SeriesSet.counted(history.frequency, history.config, history.ids, ahead)))
    return pairs


def recipe_of(name: str, source: str) -> ForecastRecipe:
    """The recipe conf/forecast/NAME.yaml."""
    recipe = ForecastRecipe.parse(compose_run(ROOT, "forecast", name, {"source": source}, {}), name)
    assert isinstance(recipe.forecaster, NBEATSForecasterConfig), "a recipe of N-BEATS"
    return recipe


def trained(
    names: Sequence[str],
    *,
    source: str,
    series: SeriesSet,
    part: Part,
    seeds: Sequence[int],
    keep: Path,
    train: bool = True,
) -> Members:
    """Members of all recipes, seeds and losses on `series`, those that `keep` has not trained first.

    `train`: without it what is there and no more.
    """
    keep.mkdir(parents=True, exist_ok=True)
    found, seconds = [], 0.0
    for seed in seeds:
        for name in names:
            recipe = recipe_of(name, source)
            for config in _by_loss(recipe):
                digest = _digest(config, recipe.training, series)
                label = f"{name}-{part}-{series.frequency}-{config.losses[0]}-{seed}"
                path = keep / f"{label}-{digest}.parquet"
                if not path.is_file():
                    if not train:
                        continue
                    assert recipe.training is not None
                    training = recipe.training.model_copy(update={"seed": seed})
                    _fit(config, training, series).write_parquet(path)
                table = pl.read_parquet(path)
                shape = (table["member"].n_unique(), len(series), series.config.horizon)
                found.append(table["forecast"].to_numpy().reshape(shape).astype(np.float64))
                seconds += float(table["seconds"][0])
    return Members(np.concatenate(found), seconds)


def _by_loss(recipe: ForecastRecipe) -> list[NBEATSForecasterConfig]:
    """The ensemble as one for each loss: the same members, for a seed follows lookback, loss and repeat."""
    config = recipe.forecaster
    assert isinstance(config, NBEATSForecasterConfig)
    return [config.model_copy(update={"losses": (loss,)}) for loss in config.losses]


def _fit(config: NBEATSForecasterConfig, training: Training, series: SeriesSet) -> pl.DataFrame:
    started = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        machine = Machine(threads=1, workers=0, fp32_through_onednn=True)
        label = f"{series.frequency} {config.losses[0]} {training.seed}"
        fitting = Fitting(training, machine, Path(scratch), SilentRun(), label)
        fitted = config.fit(series, valid=None, fitting=fitting)
    seconds = time.process_time() - started
    horizon = series.config.horizon
    forecasts_MNH = member_forecasts(fitted, series, lookback=max(config.lookbacks) * horizon)
    plan = config.plan(horizon=horizon, seed=training.seed)
    members = [f"{member.lookback // horizon}-{member.loss}-{member.seed}" for member in plan]
    return pl.DataFrame(
        {
            "member": np.repeat(members, len(series)),
            "unique_id": np.tile(np.asarray(series.ids), len(members)),
            "forecast": forecasts_MNH.reshape(-1, horizon),
            "seconds": np.full(len(members) * len(series), seconds),
        }
    )


def member_forecasts(fitted: FittedNBEATS, series: SeriesSet, *, lookback: int) -> Floats:
    """(members, N, H) in the series' unit."""
    windows, found = Windows(series, lookback=lookback), []
    with torch.no_grad():
        for first in range(0, len(series), fitted.learner.together):
            batch = windows.at_end(first, fitted.learner.together)
            forecasts_MBH = fitted.learner.components(batch).sum(1).double()
            found.append((forecasts_MBH * batch["scale"][:, None]).numpy())
    return np.concatenate(found, axis=1)


def _digest(config: NBEATSForecasterConfig, training: Training | None, series: SeriesSet) -> str:
    """Of settings and values; the settings of other frequencies are none of this one's, nor what is empty."""
    settings = config.model_dump(mode="json")
    own = settings.pop("by_frequency").get(series.frequency)
    own = None if own is None else {name: value for name, value in own.items() if value}
    found = hashlib.sha256(repr((settings, own, training, series.offsets.tolist())).encode())
    found.update(np.asarray(series.values).tobytes())
    return found.hexdigest()[:12]
