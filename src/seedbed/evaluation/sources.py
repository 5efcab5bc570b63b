"""What the report shows beside the scores, read from artifacts: curves, drop counts, lineage."""

import csv
import json
import math
from pathlib import Path
from typing import Any

from seedbed.config import UserError, load_yaml
from seedbed.evaluation.findings import CorpusCounts, Curve, Lineage
from seedbed.workspace import ARTIFACTS


def read_curves(folder: Path, verb: str, run: str) -> list[Curve]:
    """The curves of a training run; none where it has none (a classical baseline)."""
    path = folder / "curves.csv"
    if not path.is_file():
        return []
    points: dict[tuple[str, str], list[tuple[int, float]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            value = float(row["value"]) if row["value"] else math.nan
            key = row.get("part") or "", row["metric"]
            points.setdefault(key, []).append((int(float(row["step"])), value))
    return [Curve(verb, run, part, metric, values) for (part, metric), values in sorted(points.items())]


def read_numbers(path: Path) -> dict[str, float]:
    """A stage's flat metrics.json."""
    return {str(name): float(value) for name, value in _json(path).items()}


def read_counts(folder: Path, corpus: str) -> CorpusCounts:
    """Documents and drops from the manifest of a preprocessed corpus."""
    manifest = _json(folder / "manifest.json")
    return CorpusCounts(corpus, dict(manifest["documents"]), dict(manifest["dropped"]))


def read_lineage(root: Path, runs: list[tuple[str, str]], hashes: dict[str, str]) -> list[Lineage]:
    """Where each run's artifact comes from: dvc.lock where it has the stage, else its content alone.

    `hashes` maps "verb/run" to the content hash of the artifact.
    """
    path = root / "dvc.lock"
    lock = load_yaml(path) if path.is_file() else {}
    stages = lock.get("stages", {}) if isinstance(lock, dict) else {}
    found = []
    for verb, run in runs:
        stage = stages.get(f"{verb}@{run}", {})
        # Code folders are deps too; the commit speaks for them.
        data = tuple(f"{folder}/" for folder in ARTIFACTS.values())
        inputs = {
            str(dep["path"]): str(dep.get("md5", ""))
            for dep in stage.get("deps", [])
            if str(dep["path"]).startswith(data)
        }
        found.append(Lineage(verb, run, hashes[f"{verb}/{run}"], inputs))
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, FileNotFoundError) as error:
        raise UserError(
            f"{path}: {'no such file' if isinstance(error, FileNotFoundError) else 'not JSON'}; "
            f"make {path.parent} again with `dvc repro`"
        ) from None
    assert isinstance(value, dict), path
    return value
