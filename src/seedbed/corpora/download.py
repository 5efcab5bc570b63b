"""Downloads that resume, end at a size limit and are kept only when their sha256 is right."""

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO

from seedbed.config import UserError
from seedbed.progress import Progress

SCHEMES = ("https", "http", "file")
ATTEMPTS = 4
TIMEOUT_SECONDS = 30.0
CHUNK = 1 << 20


class _Interrupted(Exception):
    """The transfer broke off; what came so far is on disk."""


def check_url(url: str, where: str) -> None:
    """Refuse every scheme but https, http and file."""
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise UserError(f"{where}: scheme {scheme!r} in {url!r}; allowed: {', '.join(SCHEMES)}")


def download(
    url: str, into: Path, *, sha256: str, max_bytes: int, scratch: Path, pause_seconds: float = 1.0
) -> None:
    """Write the bytes of `url` to `into`; a broken transfer waits in `scratch` for the next try."""
    check_url(url, "download")
    scratch.mkdir(parents=True, exist_ok=True)
    # Named by the wanted content: another file at the same address never continues this one.
    part = scratch / f"{sha256}.part"
    for attempt in range(ATTEMPTS):
        try:
            _transfer(url, part, max_bytes)
            break
        except _Interrupted as error:
            if attempt + 1 == ATTEMPTS:
                raise UserError(
                    f"{url}: transfer failed {ATTEMPTS} times ({error}); "
                    "run again to continue where it stopped, or set `mirror` in the machine file"
                ) from None
            time.sleep(pause_seconds * 2**attempt)
    found = digest(part)
    if found != sha256:
        part.unlink()
        raise UserError(
            f"{url}: sha256 is {found}, wanted {sha256}; the file changed or was damaged on the way"
        )
    into.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(part, into)


def digest(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_url(url: str, *, max_bytes: int) -> bytes:
    """The bytes of a small file, such as a manifest."""
    check_url(url, "download")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            data: bytes = response.read(max_bytes + 1)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"{url}: cannot be read ({_reason(error)})") from None
    if len(data) > max_bytes:
        raise UserError(f"{url}: larger than {max_bytes} bytes")
    return data


def _transfer(url: str, part: Path, max_bytes: int) -> None:
    """One attempt: append to `part` what is missing."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "seedbed"})
    if have and not url.startswith("file:"):
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing after what we have: the sha256 decides whether that is all
            return
        if error.code in (408, 425, 429, 500, 502, 503, 504):
            raise _Interrupted(f"HTTP {error.code}") from None
        raise UserError(f"{url}: HTTP {error.code} {error.reason}; check the address") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, FileNotFoundError):
            raise UserError(f"{url}: no such file") from None
        raise _Interrupted(_reason(error)) from None
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(_reason(error)) from None
    with response:
        resumed = response.status == 206 and (response.headers.get("Content-Range") or "").startswith(
            f"bytes {have}-"
        )
        start = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        if total is not None and total > max_bytes:
            raise _too_large(url, part, max_bytes)
        progress = Progress(url.rsplit("/", 1)[-1], total, "B", done=start)
        try:
            with part.open("ab" if resumed else "wb") as file:
                done = _copy(response, file, start, url, part, max_bytes, progress)
        finally:
            progress.close()
    if total is not None and done < total:
        raise _Interrupted(f"{done} of {total} bytes")


def _copy(
    response: IO[bytes], file: IO[bytes], done: int, url: str, part: Path, max_bytes: int, progress: Progress
) -> int:
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(_reason(error)) from None
        if not chunk:
            file.flush()
            os.fsync(file.fileno())
            return done
        done += len(chunk)
        if done > max_bytes:
            raise _too_large(url, part, max_bytes)
        file.write(chunk)
        progress.update(len(chunk))


def _too_large(url: str, part: Path, max_bytes: int) -> UserError:
    part.unlink(missing_ok=True)
    return UserError(f"{url}: larger than max_bytes {max_bytes}; raise max_bytes if that is expected")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "reason", None) or error) or type(error).__name__
