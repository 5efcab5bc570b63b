"""Training windows per second of neuralforecast's N-BEATS: the peer of benchmarks/forecast.py.

It runs by the Python of an environment that has neuralforecast: file with the series, horizon, kind,
windows per step, steps, threads, clock (wall or cpu). One line of JSON: the seconds of each
step but the first ones.
"""

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import SMAPE
from neuralforecast.models import NBEATS

WARMUP = 3
STACKS = {
    # 30 stacks of one block; a block is one layer to 512 and three of 512 x 512
    "generic": {"stack_types": ["identity"] * 30, "n_blocks": [1] * 30},
    "interpretable": {"stack_types": ["trend", "seasonality"], "n_blocks": [3, 3], "shared_weights": True},
}

ON_CPU = {
    "start_padding_enabled": True,
    "accelerator": "cpu",
    "devices": 1,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "logger": False,
    "enable_checkpointing": False,
}
"""How the peer is run wherever it is measured: short series padded, and nothing around the steps."""


class Clock(pl.Callback):
    """When each step ended; on the class, for neuralforecast copies its callbacks."""

    times: list[float] = []
    read: Callable[[], float] = staticmethod(time.perf_counter)

    def on_train_batch_end(self, *_: object) -> None:
        Clock.times.append(Clock.read())


def main() -> None:
    file, horizon, kind, batch, steps, threads, clock = sys.argv[1:]
    torch.set_num_threads(int(threads))
    if clock == "cpu":
        Clock.read = staticmethod(time.process_time)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    stored = np.load(file)
    lengths = np.diff(stored["offsets"])
    table = pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{number}" for number in range(len(lengths))], lengths),
            "ds": np.concatenate([np.arange(length) for length in lengths]),
            "y": stored["values"].astype(np.float32),
        }
    )
    model = NBEATS(
        h=int(horizon),
        input_size=2 * int(horizon),
        loss=SMAPE(),
        max_steps=WARMUP + int(steps),
        learning_rate=1e-3,
        batch_size=1024,
        windows_batch_size=int(batch),
        mlp_units=[[512, 512]] * 3,
        scaler_type="identity",
        callbacks=[Clock()],
        **STACKS[kind],
        **ON_CPU,
    )
    NeuralForecast(models=[model], freq=1).fit(table)
    print(json.dumps([b - a for a, b in zip(Clock.times[WARMUP - 1 :], Clock.times[WARMUP:], strict=False)]))


if __name__ == "__main__":
    main()
