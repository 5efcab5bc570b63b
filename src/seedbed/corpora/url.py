"""Files at fixed addresses, each pinned by its sha256."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora.download import check_url, download
from seedbed.corpora.names import checked_name
from seedbed.corpora.source import Facts, FetchContext
from seedbed.corpora.unpack import Limits, archive_suffix, unpack

GIGABYTE = 1 << 30


class UrlFile(Strict):
    url: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the file at `url`, before unpacking")
    max_bytes: int = Field(GIGABYTE, ge=1)
    save_as: str | None = Field(None, description="file name; default: the last part of the address")

    @property
    def target(self) -> str:
        name = self.save_as or self.url.split("?", 1)[0].split("#", 1)[0].rsplit("/", 1)[-1]
        return checked_name(name, f"url source {self.url}")


class UrlConfig(Strict):
    name: Literal["url"]
    files: tuple[UrlFile, ...] = Field(min_length=1)
    unpack: bool = Field(True, description="unpack zip, tar.*, gz and xz files")
    max_unpacked_bytes: int = Field(10 * GIGABYTE, ge=1, description="of each archive")
    max_files: int = Field(100_000, ge=1, description="entries of each archive")

    def fetch(self, into: Path, *, context: FetchContext) -> Facts:
        """Get every file, from the mirror where it holds the same content, else from its address."""
        targets = [file.target for file in self.files]
        if len(set(targets)) < len(targets):
            raise UserError("url source: two files with one name; set save_as so that they differ")
        for file in self.files:
            check_url(file.url, "url source")
        for file, target in zip(self.files, targets, strict=True):
            path = into / target
            self._get(file, path, context)
            if self.unpack and archive_suffix(target):
                packed = context.scratch / f"{file.sha256}.packed"
                packed.parent.mkdir(parents=True, exist_ok=True)
                path.replace(packed)
                try:
                    unpack(packed, path.parent, limits=self._limits(), name=path.name)
                finally:
                    packed.unlink()
        return {"origins": [{"url": file.url, "sha256": file.sha256} for file in self.files]}

    def _limits(self) -> Limits:
        return Limits(self.max_unpacked_bytes, self.max_files)

    @staticmethod
    def _get(file: UrlFile, path: Path, context: FetchContext) -> None:
        mirrored = context.mirror.find_content(file.sha256) if context.mirror else None
        if mirrored is None or context.mirror is None:
            download(file.url, path, sha256=file.sha256, max_bytes=file.max_bytes, scratch=context.scratch)
        elif mirrored.raw_sha256 == file.sha256:
            context.mirror.get_raw(mirrored, path, scratch=context.scratch)
        else:
            context.mirror.get_stored(mirrored, path, scratch=context.scratch)
