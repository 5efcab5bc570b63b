"""How long a run has trained, over all its starts: kept beside the checkpoints, never part of an artifact."""

import json
from pathlib import Path
from typing import NamedTuple

from seedbed.workspace import write_atomically

FILE = "elapsed.json"


class Elapsed(NamedTuple):
    """`seconds` of training (validation and checkpoints too) for the first `steps` steps."""

    steps: int
    seconds: float


def read_elapsed(checkpoints: Path) -> Elapsed:
    """What was written with the last checkpoint; nothing for a run that has none."""
    try:
        found = json.loads((checkpoints / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Elapsed(0, 0.0)
    return Elapsed(int(found["steps"]), float(found["seconds"]))


def write_elapsed(checkpoints: Path, elapsed: Elapsed) -> None:
    write_atomically(checkpoints / FILE, json.dumps(elapsed._asdict()).encode())
