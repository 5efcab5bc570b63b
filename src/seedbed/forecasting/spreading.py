"""Members of an ensemble over processes: each trains its own alone, and all meet in the scratch folder.

Members share no weight, so nothing is exchanged while they learn. A process hands its members over as a file;
whoever needs them waits for it. A process that dies takes nothing from the others: their checkpoints and
files stay, and the same command on as many processes continues from them.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
from safetensors import safe_open
from torch import Tensor

from seedbed.config import Interrupted, UserError, rank_and_world
from seedbed.forecasting.fitting import Curve, Fitting
from seedbed.training.interruption import StopFlag
from seedbed.weights import write_weights

TRAINED = "trained.safetensors"
UNSEEN_SECONDS = 300.0
"""After so long without even the folder of another process, it writes elsewhere."""
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Part:
    """Members that are trained at once, by the process `rank`; one part of all members has no label."""

    only: slice
    label: str
    rank: int


def divide(members: int, *, together: int | None, world_size: int) -> list[Part]:
    """The parts in the order of the members: shares of processes differ by one member at most."""
    edges = [members * rank // world_size for rank in range(world_size + 1)]
    parts = []
    for rank, (first, last) in enumerate(pairwise(edges)):
        size = together or max(last - first, 1)
        for start in range(first, last, size):
            end = min(start + size, last)
            parts.append(Part(slice(start, end), f"members_{start + 1}_to_{end}", rank))
    return [Part(slice(None), "", 0)] if len(parts) == 1 else parts


@dataclass
class Shares:
    """The parts of one fit and what is known of them."""

    parts: list[Part]
    rank: int
    fitting: Fitting
    alone: bool
    """Whether each process trains by itself; otherwise all of them train every part together."""
    states: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)

    @classmethod
    def of(cls, members: int, *, together: int | None, fitting: Fitting) -> Self:
        """Over the processes there are, where each has a member; fewer members than processes train as one
        network does: all processes on each batch.
        """
        rank, world = rank_and_world()
        alone = 1 < world <= members
        parts = divide(members, together=together, world_size=world if alone else 1)
        if alone:
            for part in parts:
                if part.rank == rank:
                    cls._folder(fitting, part).mkdir(parents=True, exist_ok=True)
        return cls(parts, rank if alone else 0, fitting, alone)

    @property
    def own(self) -> list[Part]:
        return [part for part in self.parts if part.rank == self.rank]

    def add(self, part: Part, state: Mapping[str, Tensor], curves: Curve) -> None:
        """Members of this process that are trained: kept, and handed over to the others."""
        self.states[part.label], self.curves[part.label] = dict(state), curves
        if self.alone:
            final = self._folder(self.fitting, part) / TRAINED
            partial = final.with_name(f".{TRAINED}.partial")
            write_weights(partial, state, metadata={"curves": json.dumps(curves)})
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, final)

    def whole(self) -> tuple[dict[str, Tensor], Curve]:
        """The weights of all members, joined, and the curves of all parts; waits for other processes.

        Curves of parts that were trained elsewhere are tracked here.
        """
        for part in self.parts:
            if part.label not in self.states:
                self._fetch(part)
        states = [self.states[part.label] for part in self.parts]
        joined = {name: torch.cat([one[name] for one in states]) for name in states[0]}
        return joined, [
            (step, f"{part.label}/{name}".strip("/"), value)
            for part in self.parts
            for step, name, value in self.curves[part.label]
        ]

    def _fetch(self, part: Part) -> None:
        path = self._folder(self.fitting, part) / TRAINED
        _wait(path, label=self.fitting.label, rank=part.rank)
        with safe_open(path, framework="pt") as file:
            self.states[part.label] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            told = json.loads(file.metadata()["curves"])
        self.curves[part.label] = [(int(step), str(name), float(value)) for step, name, value in told]
        with self.fitting.tracker.child(part.label) as tracker:
            for step, name, value in self.curves[part.label]:
                tracker.log_metrics({name: value}, step=step)

    @staticmethod
    def _folder(fitting: Fitting, part: Part) -> Path:
        return fitting.scratch / part.label


def _wait(path: Path, *, label: str, rank: int) -> None:
    """Until another process has written `path`; Interrupted when this one is asked to stop meanwhile."""
    flag, began = StopFlag(), time.monotonic()
    flag.install()
    try:
        while not path.is_file():
            if flag.raised:
                raise Interrupted(f"{label}: stopped while waiting for process {rank}, own members are saved")
            if not path.parent.is_dir() and time.monotonic() - began > UNSEEN_SECONDS:
                raise UserError(
                    f"{label}: this process does not see {path.parent}, where process {rank} keeps its "
                    "members; scratch in the machine file must be on a file system that all nodes share; "
                    "move it there"
                )
            time.sleep(LOOK_SECONDS)
    finally:
        flag.restore()
