"""A small mirror, an http server that can break off, and the real mirror where there is one."""

import hashlib
import http.server
import json
import lzma
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def real_mirror() -> str:
    folder = Path(os.environ.get("SEEDBED_TEST_MIRROR") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "manifest.json").is_file():
        pytest.skip("no data mirror on this machine")
    return str(folder)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def mirror_entry(path: str, stored: bytes, raw: bytes, **origin: str) -> dict[str, object]:
    return {
        "path": path,
        "sha256": sha256(stored),
        "raw_sha256": sha256(raw),
        "stored_bytes": len(stored),
        "raw_bytes": len(raw),
        **origin,
    }


@pytest.fixture
def mirror_folder(tmp_path: Path) -> Path:
    """Set `small`: an .xz file, a plain one, and one known by its origin on the hub."""
    folder = tmp_path / "mirror"
    (folder / "small").mkdir(parents=True)
    raw, plain = "첫 줄\n둘째 줄\n".encode(), b"plain\n"
    stored = lzma.compress(raw)
    (folder / "small" / "reviews.txt.xz").write_bytes(stored)
    (folder / "small" / "plain.txt").write_bytes(plain)
    origin = {
        "origin_repo": "huggingface.co/datasets/owner/reviews",
        "origin_commit": "1" * 40,
        "origin_path": "data/reviews.txt",
    }
    files = [
        mirror_entry("small/reviews.txt.xz", stored, raw, **origin),
        mirror_entry("small/plain.txt", plain, plain),
    ]
    manifest = {"format": 1, "sets": [{"name": "small", "licence": "CC0", "files": files}], "absent": []}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


class Server:
    """Serves `files`; the first `breaks` answers end after half of their bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks = 0
        self.ranges = True
        self.requests: list[str | None] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                server.requests.append(wanted)
                data = server.files.get(self.path.lstrip("/"))
                if data is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
                if start and start >= len(data):
                    self.send_error(416)
                    return
                body = data[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.end_headers()
                if server.breaks:
                    server.breaks -= 1
                    body = body[: len(body) // 2]
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()
