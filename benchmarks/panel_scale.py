"""Memory and time of a whole panel, from its file to the report, by the number of its series.

Run: make bench-panel (ARGS="--series 1000 100000 --points 1000 --steps 40"). For each size a process of its
own writes a Parquet file of so many series (trend, season, noise), runs the stages forecast (N-BEATS, a short
training, no second fit) and evaluate (the baselines beside, verdicts, report) on it, and tells the most
anonymous memory it held, the median time of a training step, and the time of each stage. Memory of mapped
files does not count: the system takes it back. Files lie in a temporary folder, nine bytes a point, and are
deleted. The last lines are the goals.
"""

import settle  # noqa: F401  before numpy and torch

# isort: split
import argparse
import json
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

import numpy as np
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
    parser.add_argument("--only", type=int, help="measure one size in this process")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.points, arguments.steps)))
        return
    found = {}
    for count in arguments.series:
        words = ["--only", str(count), "--points", str(arguments.points), "--steps", str(arguments.steps)]
        done = subprocess.run(
            [sys.executable, __file__, *words], stdout=subprocess.PIPE, check=True, text=True
        )
        found[count] = json.loads(done.stdout.splitlines()[-1])
        told = ", ".join(f"{name} {value:,.1f}" for name, value in found[count].items())
        print(f"{count:,} series x {arguments.points:,} points: {told}", flush=True)
    small, large = found[min(found)], found[max(found)]
    sizes = f"{min(found):.0e}-to-{max(found):.0e}".replace("+0", "")
    memory = max(large[f"{stage}_mb"] / small[f"{stage}_mb"] for stage in ("forecast", "evaluate"))
    print(f"goal memory-growth {sizes}: {memory:.2f}")
    print(f"goal step-time-ratio {sizes}: {large['step_ms'] / small['step_ms']:.2f}")


def measure(count: int, points: int, steps: int) -> dict[str, float]:
    """MB and seconds by stage, ms of a step."""
    from seedbed.stages import evaluate, forecast

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_panel(root / "data/raw/synthetic", count, points)
        recipe = forecast_recipe(steps)
        with timed_steps() as times, measured("forecast", found):
            forecast.run(workspace(root, "forecast", RUN, [("fetch", "synthetic")]), recipe)
        found["step_ms"] = 1000 * statistics.median(np.diff(times)[2:])
        judged = EvaluateRecipe.parse(
            {"forecast": [{"a": "nbeats*", "b": "*naive2*"}], "series_shown": 3}, "evaluate"
        )
        empty: dict[str, object] = {}
        lock = SimpleNamespace(
            preprocess=empty, tokenize=empty, pretrain=empty, finetune=empty, forecast={RUN: recipe}
        )
        with measured("evaluate", found):
            evaluate.run(
                workspace(root, "evaluate", "report", evaluate.inputs(judged, lock)),  # type: ignore[arg-type]
                judged,
                lock,  # type: ignore[arg-type]
            )
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
        found[f"{stage}_mb"], found[f"{stage}_seconds"] = most[0], time.monotonic() - began


def anonymous_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


@contextmanager
def timed_steps() -> Iterator[list[float]]:
    """The times at which batches of training windows are asked for."""
    draw, times = WindowPresentations.batch, []

    def timed(self: WindowPresentations, first: int, count: int) -> object:
        times.append(time.perf_counter())
        return draw(self, first, count)

    WindowPresentations.batch = timed  # type: ignore[assignment, method-assign]
    try:
        yield times
    finally:
        WindowPresentations.batch = draw  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
