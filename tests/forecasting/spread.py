"""A fit of four members in a process of its own, for tests that start several and stop some.

usage: python -m tests.forecasting.spread SCRATCH SETTINGS (JSON: processes, stop: [rank, batch, signal])
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from seedbed.config import Interrupted, Machine, UserError, rank_and_world
from seedbed.forecasting.fitting import Fitting
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from seedbed.forecasting.windows import WindowPresentations
from seedbed.tracking import SilentRun
from tests.forecasting.test_forecaster import config, training

STEPS, VECTOR = 30, 32
"""Sizes are multiples of VECTOR: the processor computes what is left of a tensor after whole pairs of its
vectors by itself, with other last bits, so only of such sizes are a member's the same in any company.
"""
CALLS: list[int] = []
"""The first presentation of each batch that this process drew."""


def series() -> SeriesSet:
    """Waves about ramps."""
    values = [[5 + (i % 4) + 0.1 * i * k for i in range(7 * VECTOR)] for k in range(3)]
    frequency = FrequencyConfig(step="1i", horizon=VECTOR, seasonality=4)
    return SeriesSet.counted("counted", frequency, ["a", "b", "c"], values)


def main(scratch: Path, settings: dict[str, Any]) -> None:
    """Write what this process ends with: weights and curves."""
    torch.set_num_threads(1)
    rank, _ = rank_and_world()
    of, batch, number = settings.get("stop") or (None, 0, 0)
    _count(batch if of == rank else 0, number, others=scratch / "members_1_to_2")
    machine = Machine(threads=1, devices=settings["processes"], checkpoint_minutes=1e-9)
    fitting = Fitting(training(max_steps=STEPS, log_every=10), machine, scratch, SilentRun(), "spread")
    stacks = [{"name": "generic", "blocks": 2, "width": VECTOR, "theta_size": VECTOR}]
    forecaster = config(model={"name": "nbeats", "stacks": stacks})
    fitted = forecaster.fit(series(), valid=None, fitting=fitting)
    torch.save([fitted.learner.state_dict(), fitted.curves, CALLS], scratch / f"end-{rank}.pt")


def _count(stop_at: int, number: int, *, others: Path) -> None:
    """Remember the batches drawn, and send this process the signal `number` at one of them, when the other
    process has something to lose: its launcher ends it too.
    """
    draw = WindowPresentations.batch

    def counting(self: WindowPresentations, first: int, count: int) -> dict[str, torch.Tensor]:
        CALLS.append(first)
        if len(CALLS) == stop_at:
            while not any(others.rglob("step-*")):
                time.sleep(0.01)
            os.kill(os.getpid(), number)
        return draw(self, first, count)

    WindowPresentations.batch = counting  # type: ignore[method-assign]


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except (Interrupted, UserError) as error:
        print(error, file=sys.stderr)
        sys.exit(75 if isinstance(error, Interrupted) else 2)
