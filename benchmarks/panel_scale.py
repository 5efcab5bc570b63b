"""Memory and time of a whole panel, from its file to the report, by the number of its series.

Run: make bench-panel (ARGS="--series 1000 100000 --points 1000 --steps 40"). For each size a Parquet file of
so many series (trend, season, noise) is written, and the stages forecast (N-BEATS, a short training, no
second fit) and evaluate (Naive2 and the seasonal naive beside, verdicts, report) run on it, each in a process
of its own. Told are the most anonymous memory of each, its seconds, and the median time of a training step,
by the clock and of the processor. Memory of mapped files does not count: the system takes it back. Files lie
in a temporary folder, up to sixty bytes a point, and are deleted. The last lines are the goals: the largest
size over the smallest.
"""

import settle  # noqa: F401  before numpy and torch

# isort: split
import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import yaml

from seedbed.config import Machine
from seedbed.evaluation import EvaluateRecipe
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.windows import WindowPresentations
from seedbed.workspace import Workspace, artifact

CONF = Path(__file__).parents[1] / "conf"
HORIZON, SEASON, BATCH = 12, 12, 1024
RUN = "nbeats-synthetic"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--part", choices=list(PARTS), help="do one part of one size in this process")
    parser.add_argument("--folder", type=Path, help="of a part: where the files are")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options.folder, options.series[0], options)))
        return
    print(f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    found = {count: measure(count, options) for count in options.series}
    small, large = found[min(found)], found[max(found)]
    goals = [
        (f"{stage}-memory-growth", large[f"{stage} MB"] / small[f"{stage} MB"], 1.25) for stage in STAGES
    ]
    goals.append(("step-time-ratio", large["step ms"] / small["step ms"], 1.1))
    for name, value, goal in goals:
        print(
            f"{name}-{min(found)}-to-{max(found)}-series {value:.2f} {goal:.2f} "
            f"{'ok' if value <= goal else 'short'}"
        )


def measure(count: int, options: argparse.Namespace) -> dict[str, float]:
    """What the parts tell of one size, each in a process of its own."""
    found: dict[str, float] = {}
    words = ["--series", str(count), "--points", str(options.points), "--steps", str(options.steps)]
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            done = subprocess.run(
                [sys.executable, __file__, *words, "--part", part, "--folder", folder],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            found |= json.loads(done.stdout.splitlines()[-1])
    told = ", ".join(f"{name} {value:,.1f}" for name, value in found.items())
    print(f"{count:,} series x {options.points:,} points: {told}", flush=True)
    return found


def write(root: Path, count: int, options: argparse.Namespace) -> dict[str, float]:
    write_panel(root / "data/raw/synthetic", count, options.points)
    return {}


def measure_forecast(root: Path, count: int, options: argparse.Namespace) -> dict[str, float]:
    """MB and seconds of the stage, ms of a step."""
    from seedbed.stages import forecast

    found: dict[str, float] = {}
    with timed_steps() as times, measured("forecast", found):
        forecast.run(
            workspace(root, "forecast", RUN, [("fetch", "synthetic")]), forecast_recipe(options.steps)
        )
    # the first steps warm up
    for name, differences in zip(("step ms", "step CPU ms"), np.diff(times, axis=0)[2:].T, strict=True):
        found[name] = 1000 * statistics.median(differences)
    return found


def measure_evaluate(root: Path, count: int, options: argparse.Namespace) -> dict[str, float]:
    """MB and seconds of the stage."""
    from seedbed.stages import evaluate

    found: dict[str, float] = {}
    judged = EvaluateRecipe.parse({"forecast": [{"a": "nbeats*", "b": "*naive2*"}]}, "evaluate")
    empty: dict[str, object] = {}
    lock: Any = SimpleNamespace(
        preprocess=empty,
        tokenize=empty,
        pretrain=empty,
        finetune=empty,
        forecast={RUN: forecast_recipe(options.steps)},
    )
    with measured("evaluate", found):
        evaluate.run(workspace(root, "evaluate", "report", evaluate.inputs(judged, lock)), judged, lock)
    return found


def write_panel(folder: Path, count: int, points: int) -> None:
    """Series in order of their names, some thousands at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    schema = pa.schema([("unique_id", pa.string()), ("ds", pa.int64()), ("y", pa.float64())])
    generator, together = np.random.default_rng(0), max(1, 2_000_000 // points)
    places = np.arange(points)
    with pq.ParquetWriter(folder / "series.parquet", schema) as writer:
        for first in range(0, count, together):
            numbers = np.arange(first, min(first + together, count))
            level, slope, wave = generator.random((3, len(numbers), 1))
            season = 10 * wave * np.sin(2 * np.pi * places / SEASON)
            noise = generator.normal(0, 1, (len(numbers), points))
            values = 50 + 100 * level + 0.1 * slope * places + season + noise
            names = np.repeat([f"s{number:08d}" for number in numbers], points)
            columns = [pa.array(names), pa.array(np.tile(places, len(numbers))), pa.array(values.ravel())]
            writer.write_table(pa.table(columns, schema=schema))


def forecast_recipe(steps: int) -> ForecastRecipe:
    adam = yaml.safe_load((CONF / "optimizer/adam.yaml").read_text())
    forecaster = yaml.safe_load((CONF / "forecaster/nbeats_small.yaml").read_text())
    training = {
        "max_steps": steps,
        "global_batch_size": BATCH,
        "seed": 1,
        "precision": "fp32",
        "gradient_clip": 1e6,
        "optimizer": adam | {"learning_rate": 1e-3},
        "schedule": {"name": "constant"},
    }
    frequency = {"step": "1i", "horizon": HORIZON, "seasonality": SEASON}
    panel = {"name": "long", "file": "series.parquet", "frequencies": {"counted": frequency}}
    recipe = {"source": "synthetic", "panel": panel, "forecaster": forecaster, "training": training}
    return ForecastRecipe.parse(recipe | {"refit": False}, "forecast")


def workspace(root: Path, verb: str, run: str, needs: list[tuple[str, str]]) -> Workspace:
    return Workspace(
        root=root,
        verb=verb,
        run=run,
        machine=Machine(threads=1, tracking_uri=f"sqlite:///{root}/mlflow.db", checkpoint_minutes=1000),
        out=artifact(root, verb, run),
        scratch=root / ".scratch" / verb / run,
        fingerprint="0" * 16,
        lock_digest="0" * 64,
        flat_recipe={},
        inputs={f"{v}/{r}": artifact(root, v, r) for v, r in needs},
    )


@contextmanager
def measured(stage: str, found: dict[str, float]) -> Iterator[None]:
    """Notes the most anonymous memory within the block, looked at every 20 ms, and its seconds."""
    done, most, began = threading.Event(), [0.0], time.monotonic()

    def watch() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], anonymous_mb())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        found[f"{stage} MB"], found[f"{stage} s"] = most[0], time.monotonic() - began


def anonymous_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


@contextmanager
def timed_steps() -> Iterator[list[tuple[float, float]]]:
    """The times, by the clock and of the processor, at which batches of training windows are asked for."""
    draw, times = WindowPresentations.batch, []

    def timed(self: WindowPresentations, first: int, count: int) -> object:
        times.append((time.perf_counter(), time.process_time()))
        return draw(self, first, count)

    WindowPresentations.batch = timed  # type: ignore[assignment, method-assign]
    try:
        yield times
    finally:
        WindowPresentations.batch = draw  # type: ignore[method-assign]


STAGES = ("forecast", "evaluate")
PARTS = {"write": write, "forecast": measure_forecast, "evaluate": measure_evaluate}


if __name__ == "__main__":
    main()
