"""N-BEATS beside neuralforecast's in turn in one run, and members of an ensemble trained together and alone.

Run: make bench-forecast (ARGS="--peer-python ~/nixtla/bin/python --threads 1 --steps 6 --rounds 3"). The peer
lives in an environment of its own (pip install neuralforecast); without it only the ensembles are measured.
Both train, in their own Lightning loop, on the same 2,000 series made up to look like M4's, 1,024 windows a
step, lookback 2 horizons, sMAPE: generic (30 blocks) and interpretable (2 stacks of 3 blocks that share
weights), 512 wide. A step is drawing windows, forward, backward and Adam; the first ones, and all that comes
before them, are not counted. With --clock cpu seconds are the process's own: with one thread, on a
machine that others use too, they tell more than the clock on the wall. Ratios are medians over rounds of
rates measured in turn. One by one means a fit for each member: the same code, but an ensemble of one.
The last lines are the goals.
"""

import settle  # noqa: F401  before numpy and torch

# isort: split
import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from seedbed.process import keep_freed_memory, limit_threads

limit_threads(int(os.environ.get("OMP_NUM_THREADS", "2")), spin=10_000)
keep_freed_memory()

import numpy as np
import torch
from torch import Tensor

from seedbed.config import Machine
from seedbed.forecasting.ensemble_learner import EnsembleForecaster
from seedbed.forecasting.forecaster import NBEATSForecasterConfig
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from seedbed.forecasting.windows import WindowPresentations
from seedbed.learner import Batch
from seedbed.tracking import SilentRun
from seedbed.training import Training
from seedbed.training.trainer import train

PEER = Path(__file__).with_name("neuralforecast_steps.py")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
WARMUP, BATCH, SERIES = 3, 1024, 2000
SMALL = {"name": "generic", "blocks": 6, "width": 128, "theta_size": 32}
STACKS = {
    "generic": [{"name": "generic", "blocks": 30, "width": 512, "theta_size": 32}],
    "interpretable": [
        {"name": "trend", "blocks": 3, "width": 512, "degree": 2},
        {"name": "seasonality", "blocks": 3, "width": 512},
    ],
}
FREQUENCIES = {"yearly": ("1i", 6, 1, 31), "hourly": ("1i", 48, 24, 854)}


def panel(name: str) -> SeriesSet:
    """Trend, season and noise, of lengths that scatter around M4's mean."""
    step, horizon, seasonality, mean = FREQUENCIES[name]
    generator = np.random.default_rng(0)
    lengths = np.maximum(3 * horizon + 2, generator.lognormal(np.log(mean), 0.4, SERIES)).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    slope, season = (np.repeat(generator.normal(size=SERIES), lengths) for _ in range(2))
    waves = np.sin(2 * np.pi * place / max(2, seasonality))
    values = 1000 + 5 * slope * place + 100 * season * waves + 20 * generator.normal(size=len(place))
    ids = [f"s{number}" for number in range(SERIES)]
    config = FrequencyConfig(step=step, horizon=horizon, seasonality=seasonality)
    return SeriesSet.counted(name, config, ids, np.split(np.maximum(np.abs(values), 10), offsets[1:-1]))


class Clocked:
    """Presentations that note when each step began."""

    times: list[float]

    def __init__(self, windows: WindowPresentations, clock: str) -> None:
        self._windows, self._clock, self.times = windows, CLOCKS[clock], []

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        self.times.append(self._clock())
        return self._windows.batch(first, count)

    def names(self, first: int, count: int) -> list[str]:
        return self._windows.names(first, count)


def forecaster(
    stacks: list[dict[str, object]], *, lookbacks: list[int], losses: list[str], repeats: int
) -> NBEATSForecasterConfig:
    values = {"name": "nbeats", "model": {"name": "nbeats", "stacks": stacks}, "lookbacks": lookbacks}
    return NBEATSForecasterConfig.parse({**values, "losses": losses, "repeats": repeats}, "benchmark")


def fit(
    config: NBEATSForecasterConfig,
    series: SeriesSet,
    *,
    batch: int,
    steps: int,
    precision: str,
    threads: int,
    onednn: bool,
    clock: str,
) -> list[float]:
    """Seconds of each step but the first ones."""
    learner = EnsembleForecaster(config, horizon=series.config.horizon, seed=1)
    data = Clocked(
        WindowPresentations(
            series,
            lookback=max(config.lookbacks) * series.config.horizon,
            seeds=[member.seed for member in learner.plan],
            history_horizons=10,
        ),
        clock,
    )
    recipe = {
        "max_steps": WARMUP + steps + 1,
        "global_batch_size": batch,
        "seed": 1,
        "precision": precision,
        "gradient_clip": 1e6,
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "schedule": {"name": "constant"},
    }

    def valid() -> Iterator[Batch]:
        windows = data.batch(0, 2)
        yield {name: tensor[:, 0] for name, tensor in windows.items()}

    with tempfile.TemporaryDirectory() as scratch:
        train(
            learner,
            data=data,
            valid=valid,
            recipe=Training.parse(recipe, "benchmark"),
            example_tokens=len(learner.plan),
            machine=Machine(threads=threads, workers=0, fp32_through_onednn=onednn),
            scratch=Path(scratch),
            tracker=SilentRun(),
            label="benchmark",
        )
    # one more step was begun, so that the last one counted has an end
    return list(np.diff(data.times)[WARMUP : WARMUP + steps])


def peer(python: str, series: SeriesSet, *, kind: str, steps: int, threads: int, clock: str) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "series.npz"
        np.savez(file, values=series.values, offsets=series.offsets)
        words = [python, PEER, file, series.config.horizon, kind, BATCH, steps, threads, clock]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(word) for word in words],
            env=environment,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
    return [float(second) for second in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", help="python of an environment with neuralforecast")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=[*CLOCKS], default="wall")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    threads, goals = options.threads, []
    machine = platform.processor() or platform.machine()
    print(f"{machine}, torch {torch.__version__}, {threads} threads")
    cases = [("generic", "yearly"), ("generic", "hourly"), ("interpretable", "yearly")]
    for kind, frequency in cases if options.peer_python else ():
        series = panel(frequency)
        config = forecaster(STACKS[kind], lookbacks=[2], losses=["smape"], repeats=1)
        rates: dict[str, list[float]] = {"neuralforecast": [], "fp32": [], "bf16": []}
        for _ in range(options.rounds):
            # the quicker ones take more steps, so that all are measured about as long
            found = peer(
                options.peer_python,
                series,
                kind=kind,
                steps=options.steps,
                threads=threads,
                clock=options.clock,
            )
            rates["neuralforecast"].append(BATCH / statistics.median(found))
            for precision in ("fp32", "bf16"):
                found = fit(
                    config,
                    series,
                    batch=BATCH,
                    steps=2 * options.steps,
                    precision=precision,
                    threads=threads,
                    onednn=True,
                    clock=options.clock,
                )
                rates[precision].append(BATCH / statistics.median(found))
        for name, values in rates.items():
            rounds = ", ".join(f"{value:,.0f}" for value in values)
            print(
                f"{kind} {frequency} {name}: {statistics.median(values):,.0f} windows/s ({rounds})",
                flush=True,
            )
        for precision, goal in (("fp32", 2.0), ("bf16", 3.0)):
            ratio = statistics.median(
                a / b for a, b in zip(rates[precision], rates["neuralforecast"], strict=True)
            )
            goals.append((f"{kind}-{frequency}-{precision}-over-neuralforecast", ratio, goal))
    goals += ensembles(options)
    for name, value, goal in goals:
        print(f"{name}-{threads}-threads {value:.2f} {goal:.2f} {'ok' if value >= goal else 'short'}")


def ensembles(options: argparse.Namespace) -> list[tuple[str, float, float]]:
    """Members per minute of 100 steps, together over one by one, start of each fit included."""
    series, found = panel("yearly"), []
    for batch in (64, 256):
        many = forecaster([SMALL], lookbacks=[2, 4, 6], losses=["smape", "mase"], repeats=6)
        ratios: dict[str, list[float]] = {"fp32": [], "bf16": [], "bf16-over-fp32": []}
        for _ in range(options.rounds):
            minutes = {}
            for precision in ("fp32", "bf16"):
                for name, config, members in (
                    ("together", many, 36),
                    ("alone", forecaster([SMALL], lookbacks=[4], losses=["smape"], repeats=1), 1),
                ):
                    steps, started = 5 * options.steps, CLOCKS[options.clock]()
                    seconds = fit(
                        config,
                        series,
                        batch=batch,
                        steps=steps,
                        precision=precision,
                        threads=options.threads,
                        # one by one as torch stands, together as our machine file advises
                        onednn=name == "together",
                        clock=options.clock,
                    )
                    start = CLOCKS[options.clock]() - started - sum(seconds)
                    minutes[precision, name] = members / (start + 100 * statistics.median(seconds)) * 60
            for precision in ("fp32", "bf16"):
                ratios[precision].append(minutes[precision, "together"] / minutes[precision, "alone"])
            ratios["bf16-over-fp32"].append(minutes["bf16", "together"] / minutes["fp32", "alone"])
            print(
                f"batch {batch}, members of 100 steps per minute: "
                + ", ".join(
                    f"{precision} {name} {value:.1f}" for (precision, name), value in minutes.items()
                ),
                flush=True,
            )
        found += [
            (f"members-together-{name}-batch-{batch}", statistics.median(values), 3.0)
            for name, values in ratios.items()
        ]
    return found


if __name__ == "__main__":
    main()
