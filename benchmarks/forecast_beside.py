"""The accuracy of an N-BEATS ensemble beside neuralforecast's in the same CPU seconds, with intervals.

Run: make bench-beside ARGS="data/raw/m4 nbeats_small-m4 --peer-python ~/nixtla/bin/python": what
`seedbed fetch` wrote, a recipe of conf/forecast, and a python of an environment that has neuralforecast.

For each frequency ours is trained first (all seeds and losses of the recipe, forecast_members.py), on one
thread; then each peer gets the CPU seconds that took. Of ours all of the fit counts, of the peer only its
steps. The peers:

  ensemble  of the same lookbacks and as many members, blocks, layers and windows a step, at its own learning
            rate; median of members. Its SMAPE stands for our smape, and for mase its MAE on windows that its
            scaler standardises: its MASE mixes the scales of windows.
  single    one model as its defaults have it, but for the scaler, with the middle one of our lookbacks

Tables as in forecast_scores.py; differences are ours minus the peer's, resampled over the same series. The
last lines are the goals: not to be worse. Choose settings on valid and open test once.
"""

import argparse
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecast_members import ROOT, Floats, parts, recipe_of, trained
from forecast_scores import CONFIDENCE, Errors, errors, line, scores

# isort: split
import numpy as np

from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.baselines import Naive2Config
from seedbed.forecasting.forecaster import NBEATSForecasterConfig
from seedbed.forecasting.panels import SeriesSet
from seedbed.models.nbeats import GenericConfig

PEER = Path(__file__).with_name("neuralforecast_members.py")
LOSSES = {
    "smape": {"loss": "SMAPE"},
    "mape": {"loss": "MAPE"},
    "mase": {"loss": "MAE", "scaler_type": "standard"},
}
METRICS = ("smape", "mase", "owa")


@dataclass(frozen=True)
class Found:
    """Members' forecasts (M, N, H) in the series' unit, and what they took."""

    forecasts_MNH: Floats
    seconds: float
    steps: str


def peers(recipe: ForecastRecipe, series: SeriesSet) -> dict[str, list[dict[str, Any]]]:
    """Settings of neuralforecast's members, by the name of the ensemble."""
    config, training = recipe.forecaster, recipe.training
    assert isinstance(config, NBEATSForecasterConfig) and training is not None
    (stack,) = config.model.stacks
    assert isinstance(stack, GenericConfig), "one generic stack"
    horizon = series.config.horizon
    same = {
        "stack_types": ["identity"] * stack.blocks,
        "n_blocks": [1] * stack.blocks,
        # a first layer comes by itself
        "mlp_units": [[stack.width, stack.width]] * 3,
        "windows_batch_size": training.global_batch_size,
    }
    ensemble = [
        {"input_size": lookback * horizon, "random_seed": seed, **LOSSES[loss], **same}
        for seed in range(1, 1 + config.repeats)
        for lookback in config.lookbacks
        for loss in config.losses
    ]
    middle = config.lookbacks[len(config.lookbacks) // 2] * horizon
    return {"ensemble": ensemble, "single": [{"input_size": middle, **LOSSES["mase"]}]}


def peer(python: str, members: list[dict[str, Any]], *, series: SeriesSet, seconds: float) -> Found:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        np.savez(folder / "series.npz", values=np.asarray(series.values), offsets=series.offsets)
        asked = {"horizon": series.config.horizon, "seconds": seconds, "threads": 1, "members": members}
        (folder / "asked.json").write_text(json.dumps(asked))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [python, str(PEER), scratch], env=environment, cwd=scratch, stdout=subprocess.PIPE, check=True
        )
        took = json.loads(done.stdout.splitlines()[-1])
        forecasts_MNH = np.load(folder / "forecasts.npy").astype(np.float64)
    return Found(forecasts_MNH, took["seconds"], ", ".join(str(steps) for steps in took["steps"]))


def difference(ours: list[tuple[Errors, Errors]], theirs: list[tuple[Errors, Errors]]) -> str:
    """Of sMAPE, MASE and OWA; both are resampled by the same generator, so resamples are pairs."""
    (own_13, own_B3), (other_13, other_B3) = scores(ours), scores(theirs)
    low_3, high_3 = np.percentile(own_B3 - other_B3, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)], axis=0)
    cells = zip(METRICS, (own_13 - other_13)[0], low_3, high_3, strict=True)
    return ", ".join(f"{name} {mean:+.3f} [{low:+.3f}, {high:+.3f}]" for name, mean, low, high in cells)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("--peer-python", required=True, help="python of an environment with neuralforecast")
    parser.add_argument("--peers", nargs="+", choices=["ensemble", "single"], default=["ensemble", "single"])
    parser.add_argument("--part", choices=["valid", "test"], default="valid")
    parser.add_argument("--frequencies", nargs="+", help="some of the panel's; without it all")
    parser.add_argument("--keep", type=Path, default=ROOT / ".scratch/forecast_members")
    options = parser.parse_args()
    source = options.folder.name
    recipe = recipe_of(options.recipe, source)
    panel = recipe.panel.load(options.folder)
    found: dict[str, dict[str, Found]] = {}
    for series in panel.sets("train" if options.part == "valid" else "history"):
        if options.frequencies and series.frequency not in options.frequencies:
            continue
        own = trained(
            [options.recipe], source=source, series=series, part=options.part, seeds=[1], keep=options.keep
        )
        assert recipe.training is not None
        by_name = {"ours": Found(own.forecasts_MNH, own.seconds, "as the recipe says")}
        for name in options.peers:
            members = peers(recipe, series)[name]
            by_name[name] = peer(options.peer_python, members, series=series, seconds=own.seconds)
        found[series.frequency] = by_name
    naive2, goals = Naive2Config(name="naive2", rule="m3" if recipe.panel.name == "m3" else "m4"), []
    # everything is trained before this opens the test part
    for series, actual in parts(panel, options.part):
        if series.frequency not in found:
            continue
        naive = errors([naive2.forecast(series)], actual, series)
        groups = {}
        print(
            f"\n| {series.frequency} ({len(series)} series) | sMAPE | MASE | OWA |\n| --- | --- | --- | --- |"
        )
        for name, one in found[series.frequency].items():
            middle_NH = np.asarray(np.median(one.forecasts_MNH, 0))
            groups[name] = [(errors([middle_NH], actual, series), naive)]
            members = len(one.forecasts_MNH)
            print(
                line(f"{name}, {members} members, {one.seconds:.0f} CPU s, steps {one.steps}", groups[name])
            )
        for name in list(groups)[1:]:
            print(f"{series.frequency}, ours minus {name}: {difference(groups['ours'], groups[name])}")
            ratio = scores(groups[name])[0][0, 0] / scores(groups["ours"])[0][0, 0]
            goals.append((f"{source}-{series.frequency}-smape-of-{name}-over-ours", ratio))
    for name, ratio in goals:
        print(f"{name} {ratio:.3f} 1.000 {'ok' if ratio >= 1 else 'short'}")


if __name__ == "__main__":
    main()
