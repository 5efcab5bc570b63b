"""A tiny Learner with dropout and its data: what the loop's tests train; run as a script to be killed."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from seedbed.config import Machine
from seedbed.data.randomness import shuffled, uniform
from seedbed.learner import Accumulator, Batch, Learner, MeanAccumulator, Repeated
from seedbed.tracking import Run, SilentRun
from seedbed.training import Training, checkpoint
from seedbed.weights import write_weights

if TYPE_CHECKING:
    import pytest

WIDTH, SIZE = 8, 64


class Part(Repeated, nn.Linear):
    """A layer that devices may hold and recompute by itself."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.dropout(torch.tanh(super().forward(features)), 0.2, self.training)


class Regression(Learner):
    """Two layers with dropout fit a noisy sum."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first, self.second = Part(WIDTH, 16), nn.Linear(16, 1)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2, generator=generator)

    def predict(self, features_BW: Tensor) -> Tensor:
        return self.second(self.first(features_BW)).squeeze(-1)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return {"weight": batch["weights"].sum()}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        error = self.predict(batch["features"]) - batch["labels"]
        squares, total = error.square() * batch["weights"], counts["weight"]
        return {"loss": squares.sum() / total, "bias": (error * batch["weights"]).sum() / total}

    def scores(self) -> Accumulator:
        return MeanAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, MeanAccumulator)
        error = self.predict(batch["features"]) - batch["labels"]
        accumulator.add_mean("loss", error.square().sum(), len(error))


def poison(monkeypatch: "pytest.MonkeyPatch", *, step: int) -> None:
    """Make the prediction of this training step not a number, once."""
    original, calls = Regression.predict, 0

    def poisoned(self: Regression, features_BW: Tensor) -> Tensor:
        nonlocal calls
        calls += self.training
        return original(self, features_BW) * (float("nan") if calls == step and self.training else 1.0)

    monkeypatch.setattr(Regression, "predict", poisoned)


class Sums:
    """Presentations of SIZE fixed examples, shuffled; remembers what it served."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.features = torch.from_numpy(uniform(7, "features", 0, SIZE, WIDTH)).float()
        self.seconds = seconds
        self.served: list[int] = []

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        time.sleep(self.seconds)
        numbers = self._order(first, count)
        self.served += numbers.tolist()
        return self._examples(torch.from_numpy(numbers))

    def names(self, first: int, count: int) -> list[str]:
        return [f"sum {number}" for number in self._order(first, count)]

    def _order(self, first: int, count: int) -> np.ndarray:
        return shuffled(np.arange(first, first + count, dtype=np.int64), SIZE, 3)

    def valid(self) -> Iterator[Batch]:
        for part in torch.arange(SIZE).split(24):
            yield self._examples(part)

    def _examples(self, numbers: Tensor) -> dict[str, Tensor]:
        features = self.features[numbers]
        # examples of unequal weight: what a mean over micro-batches would get wrong
        return {"features": features, "labels": features.sum(-1), "weights": 1.0 + numbers % 5}


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
    data: Sums | None = None,
    machine: Machine | None = None,
    tracker: Run | None = None,
    depths: Mapping[str, int] | None = None,
    **changes: object,
):
    from seedbed.training.trainer import train

    learner, data = Regression(), data or Sums()
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
        depths=depths,
    )
    return learner, trained, data


def die_when(place: str, count: int, number: int) -> None:
    """Send this process a signal at the `count`-th batch, validation batch, or file synced in a save."""
    owner, name = {"batch": (Sums, "batch"), "valid": (Sums, "_examples"), "save": (checkpoint, "_sync")}[
        place
    ]
    original = getattr(owner, name)
    calls = 0

    def deadly(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), number)
        return original(*arguments)

    setattr(owner, name, deadly)


def main(scratch: Path, settings: str) -> None:
    """One process of a run, alone or started by torchrun; it leaves what it served and what it found."""
    from seedbed.training.ranks import leave_process_group

    wanted = json.loads(settings)
    rank = int(os.environ.get("RANK", "0"))
    for place, count, signal_name, whose in wanted.get("die", []):
        if whose == rank:
            die_when(place, count, getattr(signal, signal_name))
    data = Sums()
    try:
        learner, trained, _ = fit(
            scratch, machine=Machine(**wanted["machine"]), data=data, **wanted.get("recipe", {})
        )
    finally:
        (scratch / f"served-{rank}.json").write_text(json.dumps(data.served))
    write_weights(scratch / f"weights-{rank}.safetensors", learner.state_dict())
    if rank == 0:
        (scratch / "curves.json").write_text(json.dumps(trained.curves))
    leave_process_group()


if __name__ == "__main__":
    from seedbed.config import Interrupted

    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except Interrupted:
        sys.exit(75)
