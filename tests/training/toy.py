"""A tiny Learner with dropout and its data: what the loop's tests train; run as a script to be killed."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from seedbed.config import Machine
from seedbed.data.randomness import shuffled, uniform
from seedbed.learner import Accumulator, Batch, Learner, MeanAccumulator
from seedbed.tracking import Run, SilentRun
from seedbed.training import Training

WIDTH, SIZE = 8, 64


class Regression(Learner):
    """Two layers with dropout fit a noisy sum."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first, self.second = nn.Linear(WIDTH, 16), nn.Linear(16, 1)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2, generator=generator)

    def predict(self, features_BW: Tensor) -> Tensor:
        hidden = torch.dropout(torch.tanh(self.first(features_BW)), 0.2, self.training)
        return self.second(hidden).squeeze(-1)

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        error = self.predict(batch["features"]) - batch["labels"]
        return {"loss": error.square().mean(), "bias": error.mean()}

    def scores(self) -> Accumulator:
        return MeanAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, MeanAccumulator)
        error = self.predict(batch["features"]) - batch["labels"]
        accumulator.add_mean("loss", error.square().sum(), len(error))


class Sums:
    """Presentations of SIZE fixed examples, shuffled; remembers what it served."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.features = torch.from_numpy(uniform(7, "features", 0, SIZE, WIDTH)).float()
        self.seconds = seconds
        self.served: list[int] = []

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        import numpy as np

        time.sleep(self.seconds)
        numbers = shuffled(np.arange(first, first + count, dtype=np.int64), SIZE, 3)
        self.served += numbers.tolist()
        return self._examples(torch.from_numpy(numbers))

    def valid(self) -> Iterator[Batch]:
        for part in torch.arange(SIZE).split(24):
            yield self._examples(part)

    def _examples(self, numbers: Tensor) -> dict[str, Tensor]:
        features = self.features[numbers]
        return {"features": features, "labels": features.sum(-1)}


def recipe(**changes: object) -> Training:
    return Training.parse(
        {
            "max_steps": 40,
            "global_batch_size": 12,
            "seed": 5,
            "precision": "fp32",
            "optimizer": {"name": "adamw", "learning_rate": 0.02},
            "schedule": {"name": "linear", "warmup_steps": 5},
            "log_every": 7,
            "validate_every": 11,
            **changes,
        },
        "toy",
    )


def fit(
    scratch: Path,
    *,
    seconds: float = 0.0,
    machine: Machine | None = None,
    tracker: Run | None = None,
    **changes: object,
):
    from seedbed.training.trainer import train

    learner, data = Regression(), Sums(seconds)
    trained = train(
        learner,
        data=data,
        valid=data.valid,
        recipe=recipe(**changes),
        example_tokens=1,
        machine=machine or Machine(threads=1, checkpoint_minutes=1e-9),
        scratch=scratch,
        tracker=tracker or SilentRun(),
        label="toy",
    )
    return learner, trained, data


def kill_at(scratch: Path, step: int, number: int) -> None:
    """Train and let a signal hit this process when `step` is being loaded."""
    original = Sums.batch

    def deadly(self: Sums, first: int, count: int) -> dict[str, Tensor]:
        if first >= step * 12:
            os.kill(os.getpid(), number)
        return original(self, first, count)

    Sums.batch = deadly  # type: ignore[method-assign]
    fit(scratch)


def fit_on_two(scratch: Path) -> None:
    """One of two processes started by torchrun; rank 0 leaves its weights and curves."""
    from safetensors.torch import save_file

    from seedbed.training.trainer import leave_process_group

    machine = Machine(threads=1, devices=2, tokens_per_device=6)
    learner, trained, data = fit(scratch, machine=machine)
    rank = os.environ["RANK"]
    (scratch / f"served-{rank}.json").write_text(json.dumps(data.served))
    if rank == "0":
        save_file(learner.state_dict(), scratch / "weights.safetensors")
        (scratch / "curves.json").write_text(json.dumps(trained.curves))
    leave_process_group()


if __name__ == "__main__":
    from seedbed.config import Interrupted

    try:
        if sys.argv[2] == "two":
            fit_on_two(Path(sys.argv[1]))
        else:
            kill_at(Path(sys.argv[1]), int(sys.argv[2]), getattr(signal, sys.argv[3]))
    except Interrupted:
        sys.exit(75)
