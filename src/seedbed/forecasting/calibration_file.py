"""calibration.json: the conformal calibration beside a saved forecaster, bound to it by hashes.

forecaster.json holds the sha256 of calibration.json, which holds that of the weights whose errors it was made
from: widths that are another forecaster's would look like any others, and hold nothing.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from seedbed.config import Strict, UserError
from seedbed.forecasting.conformal import Calibration
from seedbed.workspace import hash_file, hash_folder, write_json

NAME = "calibration.json"


class Calibrations(Strict):
    """The file: a calibration for each frequency."""

    members: str | None
    """sha256 of the folder of weights; of a forecaster that keeps none, null."""
    frequencies: dict[str, Calibration]


def write_calibrations(folder: Path, calibrations: Mapping[str, Calibration], *, weights: Path) -> str:
    """Write the file; its sha256, for forecaster.json."""
    made = Calibrations(members=_digest(weights), frequencies=dict(calibrations))
    write_json(folder / NAME, made.model_dump(mode="json"))
    return hash_file(folder / NAME)


def read_calibrations(folder: Path, *, digest: str | None, weights: Path) -> dict[str, Calibration]:
    """What `write_calibrations` wrote; nothing where forecaster.json names no digest."""
    path = folder / NAME
    if digest is None:
        return {}
    if not path.is_file():
        raise UserError(f"{path}: no such file, but {folder.name} was saved with it; copy the whole folder")
    if hash_file(path) != digest:
        raise UserError(f"{path}: not the file that forecaster.json was written with; copy the whole folder")
    found = Calibrations.parse(json.loads(path.read_text(encoding="utf-8")), str(path))
    if found.members != _digest(weights):
        raise UserError(f"{path}: made for other weights than those in {weights}; copy the whole folder")
    return found.frequencies


def _digest(weights: Path) -> str | None:
    return hash_folder(weights) if weights.is_dir() else None
