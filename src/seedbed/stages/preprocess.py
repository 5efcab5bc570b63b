"""preprocess: raw data to a clean corpus in three splits, drops counted by reason."""

import json
from pathlib import Path

from seedbed.preprocessing import PreprocessRecipe
from seedbed.progress import track
from seedbed.tracking import open_run
from seedbed.workspace import Workspace


def inputs(recipe: PreprocessRecipe) -> list[tuple[str, str]]:
    """The raw folder of its source."""
    return [("fetch", recipe.source)]


def run(workspace: Workspace, recipe: PreprocessRecipe) -> None:
    """Write data/clean/<corpus>; one pass, one document in memory."""
    where = f"preprocess.{workspace.run}"
    preprocessing = recipe.build(where)
    raw = workspace.input("fetch", recipe.source)
    with open_run(workspace) as tracked, workspace.publish() as out:
        documents = track(recipe.reader.read(raw), where, _count(raw), "documents")
        counts = preprocessing.write(documents, out, where=where)
        tracked.log_metrics(counts.metrics())


def _count(raw: Path) -> int | None:
    """How many documents the source counted, for the time to finish; not every source does."""
    manifest = raw / "manifest.json"
    if not manifest.is_file():
        return None
    count = json.loads(manifest.read_text(encoding="utf-8")).get("documents")
    return count if isinstance(count, int) else None
