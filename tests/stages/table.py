"""A table of contents that tests change."""

from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]


def edit(project: Path, change: dict[str, Any]) -> None:
    """Merge `change` into params.yaml, two levels deep."""
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    for key, value in change.items():
        params[key] = {**(params.get(key) or {}), **value} if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(params))
