"""fetch: raw data from its source, with a manifest of what came."""

from pathlib import Path

from seedbed.config import UserError
from seedbed.corpora import FetchRecipe
from seedbed.corpora.mirror import Mirror
from seedbed.corpora.source import FetchContext
from seedbed.tracking import open_run
from seedbed.workspace import Workspace, hash_file, write_json


def inputs(recipe: FetchRecipe) -> list[tuple[str, str]]:
    """A source reads no artifact."""
    del recipe
    return []


def run(workspace: Workspace, recipe: FetchRecipe) -> None:
    """Fetch into data/raw/<source>."""
    machine = workspace.machine
    context = FetchContext(
        root=workspace.root,
        scratch=workspace.scratch,
        mirror=Mirror(machine.mirror) if machine.mirror else None,
        processes=machine.threads,
    )
    with open_run(workspace) as tracked, workspace.publish() as out:
        facts = recipe.source.fetch(out, context=context)
        files = list_files(out)
        if not any(entry["bytes"] for entry in files):
            raise UserError(f"fetch {workspace.run}: source {recipe.source.name} gave no data")
        write_json(out / "manifest.json", {**facts, "source": recipe.source.name, "files": files})
        tracked.log_metrics(
            {"files": float(len(files)), "bytes": float(sum(int(str(entry["bytes"])) for entry in files))}
        )


def list_files(folder: Path) -> list[dict[str, object]]:
    """Path, size and sha256 of every file below `folder`, sorted by path."""
    return [
        {
            "path": path.relative_to(folder).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": hash_file(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
