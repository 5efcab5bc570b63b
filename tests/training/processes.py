"""Runs of the toy in processes of their own, and what they leave: for tests that kill and compare them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

STEPS, BATCH = 40, 12
MACHINE = {"threads": 1, "checkpoint_minutes": 1e-9}


def run(
    scratch: Path,
    *,
    processes: int = 1,
    die: list[Any] | None = None,
    recipe: dict[str, Any] | None = None,
    **machine: Any,
) -> int:
    """Train the toy in processes of its own; `die` lists (place, count, signal, rank)."""
    scratch.mkdir(exist_ok=True)
    settings = {
        "machine": MACHINE | {"devices": processes} | machine,
        "die": die or [],
        "recipe": recipe or {},
    }
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "tests.training.toy"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(scratch), json.dumps(settings)],
        env=environment,
        timeout=180,
        capture_output=True,
        check=False,
    )
    assert die or done.returncode == 0, done.stderr.decode()
    return done.returncode


def end(scratch: Path) -> tuple[list[bytes], dict[str, Any]]:
    """Weights and moments of the last checkpoint, file by file, and all that was recorded."""
    folder = scratch / f"checkpoints/step-{STEPS:09d}"
    files = [path.read_bytes() for path in sorted(folder.glob("*.safetensors"))]
    return files, json.loads((folder / "state.json").read_text())


def joined(scratch: Path) -> dict[str, Tensor]:
    """The tensors of the last checkpoint; a sharded one's are joined along the first dimension."""
    parts: dict[str, list[Tensor]] = {}
    for path in sorted((scratch / f"checkpoints/step-{STEPS:09d}").glob("*.safetensors")):
        for name, value in load_file(path).items():
            parts.setdefault(name, []).append(value)
    return {name: torch.cat(values) if len(values) > 1 else values[0] for name, values in parts.items()}


def reached(scratch: Path) -> int:
    """The step of the newest checkpoint."""
    newest = max((scratch / "checkpoints").glob("step-*/state.json"))
    return int(json.loads(newest.read_text())["step"])


def served(scratch: Path, processes: int, *, micro_batch: int) -> list[int]:
    """Examples in the order of the global batches, whose micro-batches the processes take in turn."""
    ranks = [json.loads((scratch / f"served-{rank}.json").read_text()) for rank in range(processes)]
    return [
        n for i in range(0, len(ranks[0]), micro_batch) for rank in ranks for n in rank[i : i + micro_batch]
    ]


def assert_ends_alike(one: Path, other: Path) -> None:
    """Gradients were added in another order, so up to the last bits of fp32."""
    curve, expected_curve = end(one)[1]["curves"], end(other)[1]["curves"]
    assert [point[:2] for point in curve] == [point[:2] for point in expected_curve]
    assert [point[2] for point in curve] == pytest.approx([point[2] for point in expected_curve], rel=1e-6)
    found, expected = joined(one), joined(other)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)
