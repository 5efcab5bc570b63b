"""What every source is told when it fetches."""

from dataclasses import dataclass
from pathlib import Path

from seedbed.corpora.mirror import Mirror

Facts = dict[str, object]
"""What a source adds to the manifest: counts and origins, never a time or a local path."""


@dataclass(frozen=True, kw_only=True)
class FetchContext:
    """Where a source works."""

    root: Path
    """Relative paths of a recipe start here."""
    scratch: Path
    """Unfinished downloads wait here and are continued by the next run."""
    mirror: Mirror | None = None
    """Asked before any download."""
    processes: int = 1
