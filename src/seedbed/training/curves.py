"""The curves of a run as a table that DVC plots and people read: step, metric, value."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_curves(path: Path, curves: Mapping[str, Iterable[tuple[int, str, float]]]) -> None:
    """Write (step, metric, value) of each part of a run, in a column `part` (empty for a run of one part)."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["part", "step", "metric", "value"])
        for part, points in curves.items():
            writer.writerows([part, step, metric, repr(value)] for step, metric, value in points)
