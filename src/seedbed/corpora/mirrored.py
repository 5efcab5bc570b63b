"""A whole set, or named files, of the machine's mirror."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora.source import Facts, FetchContext
from seedbed.corpora.unpack import Limits, archive_suffix, unpack


class MirroredConfig(Strict):
    name: Literal["mirror"]
    set: str
    files: Literal["all"] | tuple[str, ...] = Field("all", description="file names without .xz or .gz")
    max_unpacked_bytes: int = Field(10 << 30, ge=1, description="of each tar or zip in the set")
    max_files: int = Field(100_000, ge=1)

    def fetch(self, into: Path, *, context: FetchContext) -> Facts:
        """Unpack the stored files; tar and zip archives become folders."""
        mirror = context.mirror
        if mirror is None:
            raise UserError(
                f"mirror source {self.set}: the machine file sets no `mirror`; set a folder or address"
            )
        entry = mirror.sets.get(self.set)
        if entry is None:
            raise UserError(
                f"mirror source: no set {self.set!r} in {mirror.location}; "
                f"sets: {', '.join(sorted(mirror.sets))}"
            )
        # Names relative to the set's folder: sets may hold glue/CoLA/dev.tsv and glue/MRPC/dev.tsv.
        offered = {file.path.removeprefix(f"{self.set}/"): file for file in entry.files}
        offered = {
            name.removesuffix(name.rsplit("/", 1)[-1]) + file.raw_name: file for name, file in offered.items()
        }
        wanted = sorted(offered) if self.files == "all" else list(self.files)
        for name in wanted:
            if name not in offered:
                raise UserError(
                    f"mirror source {self.set}: no file {name!r}; files: {', '.join(sorted(offered))}"
                )
        for name in wanted:
            path = into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            mirror.get_raw(offered[name], path, scratch=context.scratch)
            if archive_suffix(name):
                packed = path.with_name(f".{path.name}.packed")
                path.replace(packed)
                unpack(
                    packed,
                    path.parent,
                    limits=Limits(self.max_unpacked_bytes, self.max_files),
                    name=path.name,
                )
                packed.unlink()
        return {
            "licence": entry.licence,
            "origins": [
                {
                    "repo": offered[name].origin_repo,
                    "commit": offered[name].origin_commit,
                    "path": offered[name].origin_path,
                    "sha256": offered[name].raw_sha256,
                }
                for name in wanted
            ],
        }
