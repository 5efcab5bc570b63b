"""The accuracy of an N-BEATS ensemble by its size, on the valid or test part of a panel.

Run: python benchmarks/forecast_scores.py FOLDER RECIPE (data/raw/m3 nbeats_medium-m3 --sizes 1 6 18), where
FOLDER is what `seedbed fetch` wrote and RECIPE a file of conf/forecast. All members are trained once; an
ensemble of a size is scored by its median, as the mean over 20 draws of so many of them. sMAPE and MASE are
means over series; `all` is the mean over all points of all frequencies, as M3 reports sMAPE. OWA is against
Naive2 (M4's rule; M3's where the panel is M3's). Choose settings on valid and open test once.
"""

import argparse
import tempfile
import time
from pathlib import Path

from seedbed.process import keep_freed_memory, limit_threads

limit_threads(1, spin=10_000)
keep_freed_memory()

import numpy as np
import torch
from numpy.typing import NDArray

from seedbed import metrics
from seedbed.config import Machine
from seedbed.corpora import TestSplit
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.baselines import Naive2Config
from seedbed.forecasting.fitting import Fitting, score
from seedbed.forecasting.forecaster import FittedNBEATS, NBEATSForecasterConfig
from seedbed.forecasting.panels import Panel, SeriesSet
from seedbed.forecasting.windows import Windows
from seedbed.stages.compose import compose_run
from seedbed.tracking import SilentRun

ROOT, DRAWS = Path(__file__).parents[1], 20
Floats = NDArray[np.float64]


def parts(panel: Panel, part: str) -> list[tuple[SeriesSet, SeriesSet]]:
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


def member_forecasts(fitted: FittedNBEATS, series: SeriesSet, *, lookback: int) -> Floats:
    """(members, N, H) in the series' unit."""
    windows, found = Windows(series, lookback=lookback), []
    with torch.no_grad():
        for first in range(0, len(series), fitted.learner.together):
            batch = windows.at_end(first, fitted.learner.together)
            forecasts_MBH = fitted.learner.components(batch).sum(1).double()
            found.append((forecasts_MBH * batch["scale"][:, None]).numpy())
    return np.concatenate(found, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("--part", choices=["valid", "test"], default="valid")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 6, 18])
    options = parser.parse_args()
    composed = compose_run(ROOT, "forecast", options.recipe, {"source": options.folder.name}, {})
    recipe = ForecastRecipe.parse(composed, options.recipe)
    config = recipe.forecaster
    assert isinstance(config, NBEATSForecasterConfig), "a recipe of N-BEATS"
    naive2 = Naive2Config(name="naive2", rule="m3" if recipe.panel.name == "m3" else "m4")
    points: dict[int, list[tuple[float, int]]] = {size: [] for size in options.sizes}
    for series, actual in parts(recipe.panel.load(options.folder), options.part):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as scratch:
            machine = Machine(threads=1, workers=0, fp32_through_onednn=True)
            fitting = Fitting(recipe.training, machine, Path(scratch), SilentRun(), series.frequency)
            fitted = config.fit(series, valid=None, fitting=fitting)
        minutes = (time.perf_counter() - started) / 60
        lookback = max(config.lookbacks) * series.config.horizon
        forecasts_MNH = member_forecasts(fitted, series, lookback=lookback)
        base = score(naive2.forecast(series), actual, history=series)
        print(f"{series.frequency}: {len(series)} series, {len(forecasts_MNH)} members in {minutes:.1f} min")
        for size in options.sizes:
            generator = np.random.default_rng(0)
            drawn = [
                score(np.median(forecasts_MNH[generator.permutation(len(forecasts_MNH))[:size]], 0), actual,
                      history=series)
                for _ in range(DRAWS if size < len(forecasts_MNH) else 1)
            ]  # fmt: skip
            smape, mase = (float(np.mean([one[name] for one in drawn])) for name in ("smape", "mase"))
            owa = metrics.owa(smape, mase, naive2_smape=base["smape"], naive2_mase=base["mase"])
            print(f"  {size} members: sMAPE {smape:.3f} MASE {mase:.3f} OWA {float(owa):.3f}", flush=True)
            points[size].append((smape, len(actual.values)))
    for size, found in points.items():
        mean = np.average([smape for smape, _ in found], weights=[count for _, count in found])
        print(f"all, {size} members: sMAPE {mean:.3f}")


if __name__ == "__main__":
    main()
