"""Archives from outside, unpacked within limits: no links, no devices, no way out of the folder."""

import gzip
import io
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from seedbed.config import UserError
from seedbed.corpora.names import checked_name

XZ_MEMORY_BYTES = 256 << 20
"""An .xz header can ask for gigabytes of dictionary; `xz -9` needs 65 MiB."""
CHUNK = 1 << 20
TAR = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz")
SUFFIXES = (*TAR, ".zip", ".gz", ".xz")
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile)


@dataclass(frozen=True)
class Limits:
    """What may come out of one archive."""

    max_bytes: int
    max_files: int


def archive_suffix(name: str) -> str | None:
    """The longest known archive ending of a file name."""
    endings = [suffix for suffix in SUFFIXES if name.lower().endswith(suffix)]
    return max(endings, key=len) if endings else None


def unpack(archive: Path, into: Path, *, limits: Limits, name: str | None = None) -> list[Path]:
    """Unpack `archive` (told by the ending of `name`) below `into`: a tar or zip into a folder with
    its stem, a single .gz or .xz as a file without the ending. What was written is removed when the
    archive turns out to be unsafe, damaged or too large.
    """
    name = archive.name if name is None else name
    suffix = archive_suffix(name)
    if suffix is None:
        raise UserError(f"{name}: not an archive; known endings: {', '.join(SUFFIXES)}")
    target = into / name[: -len(suffix)]
    if target.exists():
        raise UserError(f"{name}: would overwrite {target.name}; give the files different names")
    budget = _Budget(limits, name)
    try:
        if suffix == ".zip":
            return _unzip(archive, target, budget)
        with _decompressed(archive, suffix, budget) as stream:
            if suffix in TAR:
                return _untar(stream, target, budget)
            budget.file()
            return [_write(stream, target)]
    except _DAMAGED as error:
        _discard(target)
        raise UserError(f"{name}: damaged archive ({error}); fetch it again") from None
    except (UserError, OSError):
        _discard(target)
        raise


class _Budget:
    """Counts what comes out, of the whole archive."""

    def __init__(self, limits: Limits, name: str) -> None:
        self.limits, self.name = limits, name
        self._bytes = self._files = 0
        self._seen: set[str] = set()

    def read(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self.limits.max_bytes:
            raise UserError(
                f"{self.name}: unpacks to more than {self.limits.max_bytes} bytes; "
                "raise max_unpacked_bytes if that is expected"
            )

    def file(self) -> None:
        self._files += 1
        if self._files > self.limits.max_files:
            raise UserError(
                f"{self.name}: holds more than {self.limits.max_files} entries; raise max_files if expected"
            )

    def place(self, target: Path, entry: str) -> Path:
        """Where an entry goes; two entries with one name are refused (also by letter case)."""
        name = checked_name(entry.removeprefix("./"), self.name)
        if name.lower() in self._seen:
            raise UserError(f"{self.name}: entry {name!r} comes twice")
        self._seen.add(name.lower())
        return target / name


class _Counted(io.RawIOBase):
    """A stream of decompressed bytes that charges the budget."""

    def __init__(self, source: IO[bytes], budget: _Budget) -> None:
        self._source, self._budget = source, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        data = self._source.read(len(buffer))
        self._budget.read(len(data))
        buffer[: len(data)] = data
        return len(data)


class XzStream(io.RawIOBase):
    """An .xz file (of one or more streams) decoded with bounded memory; `lzma.open` has no bound."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._decoder = self._new()
        self._left = b""

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        while True:
            if self._decoder.eof:
                self._left = (self._decoder.unused_data or self._source.read(CHUNK)).lstrip(b"\0")
                if not self._left:
                    return 0
                self._decoder = self._new()
            if self._decoder.needs_input and not self._left:
                self._left = self._source.read(CHUNK)
                if not self._left:
                    raise EOFError("the file ends before its end mark")
            data = self._decoder.decompress(self._left, len(buffer))
            self._left = b""
            if data:
                buffer[: len(data)] = data
                return len(data)


@contextmanager
def _decompressed(archive: Path, suffix: str, budget: _Budget) -> Iterator[IO[bytes]]:
    with archive.open("rb") as file:
        source: IO[bytes]
        if suffix.endswith("xz"):
            source = io.BufferedReader(XzStream(file), CHUNK)
        elif suffix.endswith("gz"):
            source = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
        else:
            source = file
        yield io.BufferedReader(_Counted(source, budget), CHUNK)


def _untar(stream: IO[bytes], target: Path, budget: _Budget) -> list[Path]:
    written: list[Path] = []
    # "r|": one pass, so that the budget sees every byte, headers too.
    with tarfile.open(fileobj=stream, mode="r|", format=tarfile.PAX_FORMAT) as archive:
        for entry in archive:
            budget.file()
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise UserError(
                    f"{budget.name}: entry {entry.name[:80]!r} is a link, a device or sparse; files only"
                )
            path = budget.place(target, entry.name)
            content = archive.extractfile(entry)
            assert content is not None
            written.append(_write(content, path))
    return written


def _unzip(archive: Path, target: Path, budget: _Budget) -> list[Path]:
    written: list[Path] = []
    with zipfile.ZipFile(archive) as file:
        for entry in file.infolist():
            budget.file()
            if entry.is_dir():
                continue
            mode = entry.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise UserError(
                    f"{budget.name}: entry {entry.filename[:80]!r} is a link or device; files only"
                )
            if entry.flag_bits & 1:
                raise UserError(f"{budget.name}: entry {entry.filename[:80]!r} is encrypted")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UserError(f"{budget.name}: entry {entry.filename[:80]!r} is not stored or deflated")
            path = budget.place(target, entry.filename)
            with file.open(entry) as content:
                counted = io.BufferedReader(_Counted(content, budget), CHUNK)
                written.append(_write(counted, path))
    return written


def _write(source: IO[bytes], path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            shutil.copyfileobj(source, file, CHUNK)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise UserError(f"{path.name}: one entry of the archive is both a file and a folder") from None
    return path


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
