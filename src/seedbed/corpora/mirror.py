"""A mirror of data sets: a folder or base address with a manifest.json, asked before any download.

The manifest (format 1) lists `sets`, each with `files`: the stored path and sha256, the sha256 of
the content once unpacked (`raw_sha256`), and where the content came from. Files are found by what
they contain, so a mirror can serve a download without knowing its address.
"""

import json
import shutil
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seedbed.config import UserError
from seedbed.corpora.download import digest, download, read_url
from seedbed.corpora.names import checked_name
from seedbed.corpora.unpack import Limits, unpack

MANIFEST = "manifest.json"
MANIFEST_MAX_BYTES = 64 << 20
FORMAT = 1


class MirrorFile(BaseModel):
    """One stored file. Unknown keys are ignored: a manifest may say more than we need."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    path: str
    sha256: str
    raw_sha256: str
    stored_bytes: int = Field(ge=0)
    raw_bytes: int = Field(ge=0)
    origin_repo: str | None = None
    origin_commit: str | None = None
    origin_path: str | None = None

    @property
    def raw_name(self) -> str:
        """The file's name once the compression of the mirror is taken off."""
        name = self.path.rsplit("/", 1)[-1]
        return name if self.sha256 == self.raw_sha256 else name.removesuffix(".xz").removesuffix(".gz")


class MirrorSet(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    licence: str = ""
    files: tuple[MirrorFile, ...]


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    sets: tuple[MirrorSet, ...]


class Mirror:
    """The files that a mirror offers."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")
        self._remote = "://" in location
        where = f"{self.location}/{MANIFEST}"
        if self._remote:
            data = read_url(where, max_bytes=MANIFEST_MAX_BYTES)
        else:
            try:
                data = Path(where).read_bytes()
            except FileNotFoundError:
                raise UserError(
                    f"mirror {self.location}: no {MANIFEST} there; "
                    "correct `mirror` in the machine file or remove it"
                ) from None
        try:
            value = json.loads(data)
            if not isinstance(value, dict) or value.get("format") != FORMAT:
                raise UserError(f"{where}: not a mirror manifest of format {FORMAT}")
            self.sets = {entry.name: entry for entry in _Manifest.model_validate(value).sets}
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{where}: not JSON ({error})") from None
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise UserError(f"{where}: {place}: {fault['msg']}") from None
        self.files = [file for entry in self.sets.values() for file in entry.files]

    def find_content(self, sha256: str) -> MirrorFile | None:
        """The file whose stored or unpacked bytes have this sha256."""
        return self._first(lambda file: sha256 in (file.sha256, file.raw_sha256))

    def find_origin(self, repo: str, commit: str, path: str) -> MirrorFile | None:
        """The file that came from `path` of `repo` at exactly `commit`."""
        return self._first(
            lambda file: (file.origin_repo, file.origin_commit, file.origin_path) == (repo, commit, path)
        )

    def _first(self, wanted: Callable[[MirrorFile], bool]) -> MirrorFile | None:
        return next(filter(wanted, self.files), None)

    def get_stored(self, file: MirrorFile, into: Path, *, scratch: Path) -> None:
        """Write the file as the mirror stores it, after checking its sha256."""
        name = checked_name(file.path, f"mirror {self.location}")
        if self._remote:
            url = f"{self.location}/{urllib.parse.quote(name)}"
            download(url, into, sha256=file.sha256, max_bytes=file.stored_bytes, scratch=scratch)
            return
        stored = Path(self.location) / name
        if not stored.is_file():
            raise UserError(f"{stored}: listed in the mirror's manifest but missing; repair the mirror")
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stored, into)
        _check(into, file.sha256, str(stored))

    def get_raw(self, file: MirrorFile, into: Path, *, scratch: Path) -> None:
        """Write the file's unpacked content, after checking both hashes."""
        if file.sha256 == file.raw_sha256:
            self.get_stored(file, into, scratch=scratch)
            return
        # Under names of our own: reviews.tar.xz must lose its .xz here and no more.
        stored, raw = scratch / f"{file.sha256}.stored", scratch / f"{file.raw_sha256}.raw"
        scratch.mkdir(parents=True, exist_ok=True)
        raw.unlink(missing_ok=True)
        try:
            self.get_stored(file, stored, scratch=scratch)
            name = f"{raw.name}.{file.path.rsplit('.', 1)[-1]}"
            unpack(stored, scratch, limits=Limits(file.raw_bytes, 1), name=name)
        finally:
            stored.unlink(missing_ok=True)
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(raw, into)
        _check(into, file.raw_sha256, f"{self.location}/{file.path} unpacked")


def _check(path: Path, wanted: str, where: str) -> None:
    found = digest(path)
    if found != wanted:
        path.unlink()
        raise UserError(f"{where}: sha256 is {found}, its manifest says {wanted}; repair the mirror")
