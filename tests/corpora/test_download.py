"""Downloads: resumed by Range, limited in size, kept only with the right sha256."""

import hashlib
from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.corpora.download import ATTEMPTS, check_url, download

DATA = bytes(range(256)) * 4000


def get(server, tmp_path: Path, *, sha256: str | None = None, max_bytes: int = 1 << 24) -> Path:
    into = tmp_path / "out" / "file.bin"
    digest = sha256 or hashlib.sha256(DATA).hexdigest()
    download(
        f"{server.url}/file.bin",
        into,
        sha256=digest,
        max_bytes=max_bytes,
        scratch=tmp_path / "scratch",
        pause_seconds=0,
    )
    return into


def test_whole_file(server, tmp_path: Path) -> None:
    server.files["file.bin"] = DATA
    assert get(server, tmp_path).read_bytes() == DATA
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_broken_transfer_is_continued(server, tmp_path: Path) -> None:
    server.files["file.bin"], server.breaks = DATA, 2
    assert get(server, tmp_path).read_bytes() == DATA
    assert server.requests == [None, f"bytes={len(DATA) // 2}-", f"bytes={len(DATA) * 3 // 4}-"]


def test_the_next_run_continues(server, tmp_path: Path) -> None:
    server.files["file.bin"], server.breaks = DATA, ATTEMPTS
    with pytest.raises(UserError, match=r"transfer failed 4 times.*run again to continue"):
        get(server, tmp_path)
    assert not (tmp_path / "out").exists()
    assert get(server, tmp_path).read_bytes() == DATA
    assert server.requests[-1] == f"bytes={len(DATA) * 15 // 16}-"


def test_a_server_without_ranges_starts_again(server, tmp_path: Path) -> None:
    server.files["file.bin"], server.breaks, server.ranges = DATA, 1, False
    assert get(server, tmp_path).read_bytes() == DATA


def test_wrong_content_is_not_kept(server, tmp_path: Path) -> None:
    server.files["file.bin"] = DATA
    with pytest.raises(UserError, match=f"wanted {'0' * 64}"):
        get(server, tmp_path, sha256="0" * 64)
    assert not (tmp_path / "out").exists() and not list((tmp_path / "scratch").iterdir())


def test_size_limit(server, tmp_path: Path) -> None:
    server.files["file.bin"] = DATA
    with pytest.raises(UserError, match="larger than max_bytes 1000"):
        get(server, tmp_path, max_bytes=1000)
    assert not (tmp_path / "out").exists() and not list((tmp_path / "scratch").iterdir())


def test_missing_and_foreign_schemes(server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="HTTP 404"):
        get(server, tmp_path)
    for url in ("ftp://host/file", "data:,x", "/etc/passwd"):
        with pytest.raises(UserError, match="allowed: https, http, file"):
            check_url(url, "here")


def test_file_url(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(DATA)
    digest = hashlib.sha256(DATA).hexdigest()
    download(
        (tmp_path / "a.bin").as_uri(),
        tmp_path / "b.bin",
        sha256=digest,
        max_bytes=len(DATA),
        scratch=tmp_path / "scratch",
    )
    assert (tmp_path / "b.bin").read_bytes() == DATA
    with pytest.raises(UserError, match="no such file"):
        download(
            (tmp_path / "none").as_uri(),
            tmp_path / "c",
            sha256=digest,
            max_bytes=9,
            scratch=tmp_path / "scratch",
        )
