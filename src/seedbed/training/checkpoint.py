"""Resume checkpoints: safetensors and JSON, written whole or not at all, checked when read.

A run that shards its weights writes a file of each process's own rows. Any number of processes reads either
kind: a tensor is what the files hold under its name, joined along the first dimension in their order.
"""

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from seedbed.config import UserError
from seedbed.training.ranks import gather, position
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


def _tensors(
    learner: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Mapping[str, Tensor],
    selected: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    tensors = {f"learner/{name}": value for name, value in learner.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    tensors |= {f"selected/{name}": value for name, value in selected.items()}
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


def save(
    folder: Path,
    learner: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    *,
    average: Mapping[str, Tensor] = MappingProxyType({}),
    selected: Mapping[str, Tensor] = MappingProxyType({}),
) -> None:
    """Write `folder/step-N`; a kill at any moment leaves the earlier checkpoints untouched.

    `average` holds the averages of weights, `selected` those of the best validation, by their names in
    `learner`.
    Every process calls. The first writes all that they hold alike, each its own rows of what is sharded; the
    folder takes its name when all are on disk.
    """
    rank, world = position()
    tensors = _tensors(learner, optimizer, average, selected)
    is_sharded = any(isinstance(value, DTensor) for value in tensors.values())
    if rank and not is_sharded:
        return
    final = folder / f"step-{progress.step:09d}"
    staging = folder / f".{final.name}.partial"
    if rank == 0:
        remove(staging)
        staging.mkdir(parents=True)
    name = "state.safetensors"
    if is_sharded:
        gather(None)  # until the folder is there
        name = f"state-{rank:05d}-of-{world:05d}.safetensors"
        if not staging.is_dir():
            raise UserError(
                f"{staging}: process {rank} does not see what process 0 made; scratch in the machine file "
                "must be on a file system that all nodes share; move it there"
            )
    own = {key: _local(value) for key, value in tensors.items() if rank == 0 or isinstance(value, DTensor)}
    write_weights(staging / name, own)
    _sync(staging / name)
    written = (name, hash_file(staging / name))
    files = gather(written) if is_sharded else [written]
    if rank == 0:
        _publish(staging, final, progress, dict(files))


def _publish(staging: Path, final: Path, progress: Progress, files: Mapping[str, str]) -> None:
    state = {
        "step": progress.step,
        "curves": progress.curves,
        "pending": progress.pending,
        "logged_at": progress.logged_at,
        "sha256": files,
    }
    (staging / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for path in (staging / "state.json", staging):
        _sync(path)
    remove(final)
    os.replace(staging, final)
    _sync(final.parent)
    for old in sorted(final.parent.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old)


def _local(value: Tensor) -> Tensor:
    return value.to_local() if isinstance(value, DTensor) else value


def newest(folder: Path) -> Path | None:
    """The last checkpoint written, if any."""
    return max(folder.glob("step-*"), default=None)


@dataclass(frozen=True)
class Saved:
    """A checkpoint found intact; its tensors stay on disk until they are asked for."""

    progress: Progress
    files: tuple[Path, ...]

    def restore(
        self,
        learner: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        average: Mapping[str, Tensor] = MappingProxyType({}),
        selected: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        """Load what `save` was given, sharded or not, whatever the number of processes that wrote it."""
        with _Reader(self.files) as reader:
            _restore_learner(reader, learner)
            _restore_optimizer(reader, optimizer)
            for kind, tensors in (("average", average), ("selected", selected)):
                for name, value in tensors.items():
                    value.copy_(reader.read(f"{kind}/{name}", like=value))

    def restore_result(self, learner: nn.Module) -> None:
        """Load what a finished run has made: the best validation's weights or averages, else the last."""
        with _Reader(self.files) as reader:
            _restore_learner(reader, learner)
            found = learner.state_dict()
            for name in reader.names("selected/") or reader.names("average/"):
                value = found[name.partition("/")[2]]
                value.copy_(reader.read(name, like=value))


def find(folder: Path) -> Saved | None:
    """The newest checkpoint whose files are all there and undamaged; every process finds the same."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        if not (path / "state.json").is_file():
            continue
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        expected = {path / name: digest for name, digest in sorted(state["sha256"].items())}
        if not all(file.is_file() and hash_file(file) == digest for file, digest in expected.items()):
            print(f"{path}: checkpoint is damaged, going back to the one before", flush=True)
            continue
        curves = [(int(step), str(name), float(value)) for step, name, value in state["curves"]]
        progress = Progress(state["step"], curves, state["pending"], state["logged_at"])
        return Saved(progress, tuple(expected))
    return None


class _Reader:
    """The tensors of a checkpoint's files, joined; one is in memory at a time."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._stack = ExitStack()
        self._files = [self._stack.enter_context(safe_open(file, framework="pt")) for file in files]
        self._holders: dict[str, list[int]] = {}
        for index, file in enumerate(self._files):
            names: list[str] = file.keys()
            for name in names:
                self._holders.setdefault(name, []).append(index)

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def names(self, prefix: str) -> list[str]:
        return [name for name in self._holders if name.startswith(prefix)]

    def read(self, name: str, *, like: Tensor) -> Tensor:
        """The tensor called `name`, or this process's rows of it where `like` is sharded."""
        parts = [self._files[index].get_tensor(name) for index in self._holders[name]]
        whole: Tensor = parts[0] if len(parts) == 1 else torch.cat(parts)
        if not isinstance(like, DTensor) or whole.shape != like.shape:
            return whole
        return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)


def _restore_learner(reader: _Reader, learner: nn.Module) -> None:
    found = learner.state_dict()
    missing = {f"learner/{name}" for name in found} ^ set(reader.names("learner/"))
    assert not missing, f"the fingerprint tells one learner from another: {sorted(missing)}"
    learner.load_state_dict(
        {name: reader.read(f"learner/{name}", like=value) for name, value in found.items()}
    )


def _restore_optimizer(reader: _Reader, optimizer: torch.optim.Optimizer) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name in reader.names("optimizer/"):
        _, index, key = name.split("/")
        state.setdefault(int(index), {})[key] = reader.read(name, like=parameters[int(index)])
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
