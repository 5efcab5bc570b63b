"""Archives: what is good comes out whole, what is hostile leaves nothing behind."""

import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.corpora.unpack import Limits, archive_suffix, unpack

LIMITS = Limits(max_bytes=1 << 20, max_files=10)
FILES = {"a.txt": b"one", "folder/나.txt": "둘".encode()}


def make_tar(path: Path, mode: str, entries: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, mode) as archive:
        for info, data in entries:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refuse(archive: Path, into: Path, fault: str, limits: Limits = LIMITS) -> None:
    into.mkdir()
    with pytest.raises(UserError, match=fault):
        unpack(archive, into, limits=limits)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize(
    "suffix, mode", [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz")]
)
def test_tar(tmp_path: Path, suffix: str, mode: str) -> None:
    entries = [(entry("folder", tarfile.DIRTYPE), b""), *((entry(n), d) for n, d in FILES.items())]
    archive = make_tar(tmp_path / f"set{suffix}", mode, entries)
    unpack(archive, tmp_path / "out", limits=LIMITS)
    assert contents(tmp_path / "out" / "set") == FILES


def test_zip_and_single_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    (tmp_path / "x.txt.gz").write_bytes(gzip.compress(b"x"))
    # two xz streams in one file, as `cat a.xz b.xz` makes
    (tmp_path / "y.txt.xz").write_bytes(lzma.compress(b"y") + lzma.compress(b"z"))
    for name in ("set.zip", "x.txt.gz", "y.txt.xz"):
        unpack(tmp_path / name, tmp_path / "out", limits=LIMITS)
    expected = {f"set/{name}": data for name, data in FILES.items()}
    assert contents(tmp_path / "out") == {**expected, "x.txt": b"x", "y.txt": b"yz"}


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../b", "a\\b", "C:x", "a/./b"])
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    refuse(
        make_tar(tmp_path / "t.tar", "w", [(entry("ok"), b"1"), (entry(name), b"2")]),
        tmp_path / "o",
        "unsafe",
    )
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        info = zipfile.ZipInfo("ok")
        info.filename = name
        archive.writestr(info, b"2")
    refuse(tmp_path / "z.zip", tmp_path / "p", "unsafe")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    archive = make_tar(tmp_path / "t.tar", "w", [(entry("ok"), b"1"), (entry("l", kind, "/etc/passwd"), b"")])
    refuse(archive, tmp_path / "o", "link, a device or sparse")


def test_zip_link(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        info = zipfile.ZipInfo("l")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    refuse(tmp_path / "z.zip", tmp_path / "o", "link or device")


def test_bombs(tmp_path: Path) -> None:
    zeros = bytes(4 << 20)
    (tmp_path / "b.gz").write_bytes(gzip.compress(zeros))
    (tmp_path / "b.xz").write_bytes(lzma.compress(zeros))
    make_tar(tmp_path / "b.tar.gz", "w:gz", [(entry("zeros"), zeros)])
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", zeros)
    for number, name in enumerate(("b.gz", "b.xz", "b.tar.gz", "b.zip")):
        refuse(tmp_path / name, tmp_path / f"o{number}", "unpacks to more than 1048576 bytes")
    many = make_tar(tmp_path / "m.tar", "w", [(entry(f"f{i}"), b"") for i in range(11)])
    refuse(many, tmp_path / "many", "more than 10 entries")


def test_xz_that_asks_for_much_memory(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 << 20}]
    (tmp_path / "b.xz").write_bytes(lzma.compress(b"x", filters=filters))
    refuse(tmp_path / "b.xz", tmp_path / "o", "damaged archive .*[Mm]emory")


def test_double_and_clashing_entries(tmp_path: Path) -> None:
    twice = make_tar(tmp_path / "t.tar", "w", [(entry("a"), b"1"), (entry("A"), b"2")])
    refuse(twice, tmp_path / "o", "comes twice")
    clash = make_tar(tmp_path / "c.tar", "w", [(entry("a"), b"1"), (entry("a/b"), b"2")])
    refuse(clash, tmp_path / "p", "both a file and a folder")


@pytest.mark.parametrize("cut", [30, 1])
def test_damaged(tmp_path: Path, cut: int) -> None:
    for name, pack in (("d.gz", gzip.compress), ("d.xz", lzma.compress)):
        (tmp_path / name).write_bytes(pack(bytes(range(256)) * 100)[:-cut])
        refuse(tmp_path / name, tmp_path / f"o-{name}", "damaged archive")


def test_suffixes(tmp_path: Path) -> None:
    assert archive_suffix("a.tar.xz") == ".tar.xz" and archive_suffix("a.txt") is None
    with pytest.raises(UserError, match="not an archive"):
        unpack(tmp_path / "a.rar", tmp_path, limits=LIMITS)
