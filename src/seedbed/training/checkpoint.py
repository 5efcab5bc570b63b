"""Resume checkpoints: safetensors and JSON, written whole or not at all, checked when read."""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from seedbed.weights import write_weights
from seedbed.workspace import hash_file, remove

KEEP = 2
Curve = list[tuple[int, str, float]]


@dataclass
class Progress:
    """What a run knows beside its weights: steps done, curves so far, sums since the last log by process."""

    step: int = 0
    curves: Curve = field(default_factory=list)
    pending: list[dict[str, float]] = field(default_factory=list)
    logged_at: int = 0


def _tensors(learner: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"learner/{name}": value for name, value in learner.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer/{index}/{key}"] = torch.as_tensor(value)
    return tensors


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save(folder: Path, learner: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write `folder/step-N`; a kill at any moment leaves the earlier checkpoints untouched."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{progress.step:09d}"
    staging = folder / f".{final.name}.partial"
    remove(staging)
    staging.mkdir()
    weights = staging / "state.safetensors"
    write_weights(weights, _tensors(learner, optimizer))
    state = {
        "step": progress.step,
        "curves": progress.curves,
        "pending": progress.pending,
        "logged_at": progress.logged_at,
        "sha256": hash_file(weights),
    }
    (staging / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for path in (weights, staging / "state.json", staging):
        _sync(path)
    remove(final)
    os.replace(staging, final)
    _sync(folder)
    for old in sorted(folder.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old)


def newest(folder: Path) -> Path | None:
    """The last checkpoint written, if any."""
    return max(folder.glob("step-*"), default=None)


def restore(folder: Path, learner: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the newest intact checkpoint into learner and optimizer; a fresh Progress if there is none."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        weights, state_file = path / "state.safetensors", path / "state.json"
        if not state_file.is_file() or not weights.is_file():
            continue
        state = json.loads(state_file.read_text(encoding="utf-8"))
        if hash_file(weights) != state["sha256"]:
            print(f"{path}: checkpoint is damaged, going back to the one before", flush=True)
            continue
        tensors = load_file(weights)
        learner.load_state_dict(
            {k.removeprefix("learner/"): v for k, v in tensors.items() if k.startswith("learner/")}
        )
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer/"):
                _, index, key = name.split("/")
                moments.setdefault(int(index), {})[key] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        curves = [(int(step), str(name), float(value)) for step, name, value in state["curves"]]
        return Progress(state["step"], curves, state["pending"], state["logged_at"])
    return Progress()
