"""Forecasts of neuralforecast's N-BEATS, trained for a given time: the peer of benchmarks/forecast_beside.py.

It runs by the Python of an environment that has neuralforecast: a folder with series.npz (values, offsets)
and asked.json (horizon, CPU seconds for all, threads, settings of each member). A member takes the steps
that fit into its equal share of the seconds at the speed of its first ones, which are not counted; nor is
what Lightning does around the steps. Beside them comes forecasts.npy (members, series, horizon), and one
line of JSON: CPU seconds of the steps, and the steps of each member.
"""

import json
import logging
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses import pytorch as losses
from neuralforecast.models import NBEATS
from neuralforecast_steps import ON_CPU, WARMUP, Clock

TRIED = 12


def fitted(table: pd.DataFrame, settings: dict[str, Any], *, horizon: int, steps: int) -> NeuralForecast:
    own = dict(settings)
    loss = getattr(losses, own.pop("loss"))()
    model = NBEATS(
        h=horizon,
        loss=loss,
        max_steps=steps,
        callbacks=[Clock()],
        alias="y_hat",
        **own,
        **ON_CPU,
    )
    Clock.times.clear()
    forecaster = NeuralForecast(models=[model], freq=1)
    forecaster.fit(table)
    return forecaster


def main() -> None:
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "asked.json").read_text())
    torch.set_num_threads(asked["threads"])
    Clock.read = staticmethod(time.process_time)
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    stored = np.load(folder / "series.npz")
    lengths = np.diff(stored["offsets"])
    # neuralforecast orders its forecasts by name
    names = [f"s{number:09d}" for number in range(len(lengths))]
    table = pd.DataFrame(
        {
            "unique_id": np.repeat(names, lengths),
            "ds": np.concatenate([np.arange(length) for length in lengths]),
            "y": stored["values"].astype(np.float32),
        }
    )
    horizon, share = asked["horizon"], asked["seconds"] / len(asked["members"])
    forecasts, seconds, steps = [], 0.0, []
    for settings in asked["members"]:
        fitted(table, settings, horizon=horizon, steps=WARMUP + TRIED)
        step = statistics.median(np.diff(Clock.times[WARMUP - 1 :]))
        steps.append(max(1, round(share / step)))
        forecaster = fitted(table, settings, horizon=horizon, steps=steps[-1])
        # of n steps n - 1 lie between ends of steps
        seconds += (Clock.times[-1] - Clock.times[0]) * steps[-1] / max(1, steps[-1] - 1)
        forecasts.append(forecaster.predict()["y_hat"].to_numpy().reshape(len(names), horizon))
    np.save(folder / "forecasts.npy", np.stack(forecasts))
    print(json.dumps({"seconds": seconds, "steps": steps}))


if __name__ == "__main__":
    main()
