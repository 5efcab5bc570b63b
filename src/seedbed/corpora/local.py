"""A file or folder of this machine."""

import shutil
from pathlib import Path
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora.download import digest
from seedbed.corpora.source import Facts, FetchContext
from seedbed.workspace import hash_folder


class LocalConfig(Strict):
    name: Literal["local"]
    path: str = Field(description="absolute, or relative to the folder of params.yaml")
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="of the file, or of the folder's sorted names and contents",
    )

    def fetch(self, into: Path, *, context: FetchContext) -> Facts:
        """Copy the file or folder; links are refused, for what they point at is not pinned."""
        path = context.root / self.path
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UserError(f"local source: {self.path}: no such file or folder; give `path` an existing one")
        if path.is_file():
            shutil.copyfile(path, into / path.name)
            found = digest(into / path.name)
        else:
            for item in sorted(path.rglob("*")):
                if item.is_symlink() or not (item.is_file() or item.is_dir()):
                    raise UserError(
                        f"local source: {item}: a link or special file; copy the content there instead"
                    )
                if item.is_file():
                    target = into / item.relative_to(path)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(item, target)
            found = hash_folder(into)
        if self.sha256 is not None and found != self.sha256:
            raise UserError(
                f"local source: {self.path}: sha256 is {found}, wanted {self.sha256}; the content changed"
            )
        return {"sha256": found}
