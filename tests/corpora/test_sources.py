"""Sources: local, url, mirror and Hugging Face, against a small mirror, a server and the real mirror."""

import hashlib
import io
import json
import lzma
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from seedbed.config import UserError
from seedbed.corpora import FetchRecipe
from seedbed.corpora.huggingface import HuggingFaceConfig, is_data
from seedbed.corpora.local import LocalConfig
from seedbed.corpora.mirror import Mirror
from seedbed.corpora.mirrored import MirroredConfig
from seedbed.corpora.source import FetchContext
from seedbed.corpora.url import UrlConfig

REVIEWS = "첫 줄\n둘째 줄\n".encode()


def context(tmp_path: Path, mirror: str | Path | None = None) -> FetchContext:
    return FetchContext(
        root=tmp_path, scratch=tmp_path / "scratch", mirror=Mirror(str(mirror)) if mirror else None
    )


def fetch(tmp_path: Path, source: dict[str, object], mirror: str | Path | None = None) -> Path:
    into = tmp_path / "out"
    into.mkdir()
    FetchRecipe.parse({"source": source}, "fetch.x").source.fetch(into, context=context(tmp_path, mirror))
    return into


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_name_chooses_the_source() -> None:
    file = {"url": "https://host/a.txt", "sha256": "0" * 64}
    for config, source in (
        (LocalConfig, {"name": "local", "path": "a"}),
        (UrlConfig, {"name": "url", "files": [file]}),
        (MirroredConfig, {"name": "mirror", "set": "small"}),
        (HuggingFaceConfig, {**HUB, "files": ["a.csv"]}),
    ):
        assert type(FetchRecipe.parse({"source": source}, "fetch.x").source) is config


def test_only_data_files_come_from_the_hub() -> None:
    assert all(map(is_data, ("a.parquet", "a.jsonl.xz", "b/A.CSV", "a.txt.gz")))
    assert not any(map(is_data, ("a.py", "a.pkl", "a.csv.py", "a.zip", "a", "a.parquet.exe")))


def test_unknown_source_is_told() -> None:
    with pytest.raises(UserError, match=r"fetch\.x\.source"):
        FetchRecipe.parse({"source": {"name": "s3"}}, "fetch.x")


def test_local_file_and_folder(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "가.txt").write_bytes(REVIEWS)
    into = fetch(tmp_path, {"name": "local", "path": "in"})
    assert (into / "sub" / "가.txt").read_bytes() == REVIEWS
    (tmp_path / "in" / "link").symlink_to("/etc/passwd")
    into.rename(tmp_path / "first")
    with pytest.raises(UserError, match="a link or special file"):
        fetch(tmp_path, {"name": "local", "path": "in"})


@pytest.mark.parametrize(
    "path, digest, fault", [("none", None, "no such file"), ("a", "0" * 64, "content changed")]
)
def test_local_faults(tmp_path: Path, path: str, digest: str | None, fault: str) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(UserError, match=fault):
        fetch(tmp_path, {"name": "local", "path": path, "sha256": digest})


def test_url_archive_is_unpacked(server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        info = tarfile.TarInfo("one.txt")
        info.size = len(REVIEWS)
        archive.addfile(info, io.BytesIO(REVIEWS))
    data = buffer.getvalue()
    server.files["set.tar.xz"] = data
    into = fetch(
        tmp_path, {"name": "url", "files": [{"url": f"{server.url}/set.tar.xz", "sha256": sha(data)}]}
    )
    assert [p.relative_to(into).as_posix() for p in into.rglob("*.*")] == ["set/one.txt"]
    assert (into / "set" / "one.txt").read_bytes() == REVIEWS


def test_url_names(tmp_path: Path) -> None:
    file = {"url": "https://host/a/x.txt", "sha256": "0" * 64}
    with pytest.raises(UserError, match="two files with one name"):
        fetch(tmp_path, {"name": "url", "files": [file, {**file, "url": "https://host/b/x.txt"}]})
    (tmp_path / "out").rmdir()
    with pytest.raises(UserError, match="unsafe file name"):
        fetch(tmp_path, {"name": "url", "files": [{**file, "save_as": "../x"}]})


@pytest.mark.parametrize("remote", [False, True])
def test_mirror_is_asked_before_the_address(
    server, tmp_path: Path, mirror_folder: Path, remote: bool
) -> None:
    for path in mirror_folder.rglob("*.*"):
        server.files[path.relative_to(mirror_folder).as_posix()] = path.read_bytes()
    location = server.url if remote else str(mirror_folder)
    files = [{"url": "http://127.0.0.1:9/reviews.txt", "sha256": sha(REVIEWS)}]
    into = fetch(tmp_path, {"name": "url", "files": files}, location)
    assert (into / "reviews.txt").read_bytes() == REVIEWS
    assert list((tmp_path / "scratch").iterdir()) == []


def test_mirror_set(tmp_path: Path, mirror_folder: Path) -> None:
    into = fetch(tmp_path, {"name": "mirror", "set": "small"}, mirror_folder)
    assert {p.name: p.read_bytes() for p in into.iterdir()} == {
        "reviews.txt": REVIEWS,
        "plain.txt": b"plain\n",
    }


@pytest.mark.parametrize(
    "source, fault",
    [({"set": "large"}, "sets: small"), ({"set": "small", "files": ["x"]}, "files: plain.txt, reviews.txt")],
)
def test_mirror_faults(tmp_path: Path, mirror_folder: Path, source: dict[str, object], fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        fetch(tmp_path, {"name": "mirror", **source}, mirror_folder)
    (tmp_path / "out").rmdir()
    with pytest.raises(UserError, match="sets no `mirror`"):
        fetch(tmp_path, {"name": "mirror", **source})


def test_mirror_that_lies(tmp_path: Path, mirror_folder: Path) -> None:
    (mirror_folder / "small" / "reviews.txt.xz").write_bytes(lzma.compress(b"other"))
    with pytest.raises(UserError, match="its manifest says"):
        fetch(tmp_path, {"name": "mirror", "set": "small", "files": ["reviews.txt"]}, mirror_folder)


@pytest.mark.parametrize(
    "text, fault", [("{}", "format 1"), ("{", "not JSON"), ('{"format":1,"sets":[{}]}', "sets.0")]
)
def test_mirror_manifest_faults(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(UserError, match=r"no manifest\.json there"):
        Mirror(str(tmp_path))
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=fault):
        Mirror(str(tmp_path))


HUB = {"name": "huggingface", "repo": "owner/reviews", "revision": "1" * 40}


def test_huggingface_from_mirror(tmp_path: Path, mirror_folder: Path) -> None:
    into = fetch(tmp_path, {**HUB, "files": ["data/reviews.txt"]}, mirror_folder)
    assert (into / "data" / "reviews.txt").read_bytes() == REVIEWS


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import huggingface_hub

    names = {"data/a.parquet": 4, "data/b.parquet": 4, "load.py": 4, "model.pkl": 4}

    class Api:
        def dataset_info(self, repo: str, *, revision: str, files_metadata: bool) -> SimpleNamespace:
            assert (repo, revision, files_metadata) == ("owner/reviews", "1" * 40, True)
            return SimpleNamespace(siblings=[SimpleNamespace(rfilename=n, size=s) for n, s in names.items()])

    def download(repo: str, name: str, *, repo_type: str, revision: str, local_dir: Path) -> str:
        assert (repo_type, revision) == ("dataset", "1" * 40)
        path = Path(local_dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"PAR1")
        return str(path)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)


def test_huggingface_from_hub(tmp_path: Path, fake_hub: None) -> None:
    into = fetch(tmp_path, {**HUB, "files": ["data/*.parquet"]})
    assert sorted(p.name for p in into.rglob("*.parquet")) == ["a.parquet", "b.parquet"]


@pytest.mark.parametrize(
    "files, extra, fault",
    [
        (["*.py"], {}, "'load.py' is not a data file"),
        (["model.pkl"], {}, "not a data file"),
        (["train.csv"], {}, "no file matches"),
        (["data/*"], {"max_bytes": 7}, "8 bytes are more than max_bytes 7"),
    ],
)
def test_huggingface_faults(
    tmp_path: Path, fake_hub: None, files: list[str], extra: dict[str, object], fault: str
) -> None:
    with pytest.raises(UserError, match=fault):
        fetch(tmp_path, {**HUB, "files": files, **extra})


def test_huggingface_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2
    import huggingface_hub

    class Api:
        def dataset_info(self, *_: object, **__: object) -> None:
            raise httpx2.ConnectError("Connection refused")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    with pytest.raises(UserError, match=r"hub cannot serve it \(Connection refused"):
        fetch(tmp_path, {**HUB, "files": ["a.csv"]})


@pytest.mark.parametrize("revision", ["main", "1" * 39])
def test_huggingface_needs_a_commit(revision: str) -> None:
    with pytest.raises(UserError, match="revision"):
        FetchRecipe.parse({"source": {**HUB, "revision": revision, "files": ["a.csv"]}}, "fetch.x")


def test_real_mirror_serves_nsmc(tmp_path: Path, real_mirror: str) -> None:
    """The conf file's address is never opened: the mirror holds the same content."""
    import yaml

    recipe = yaml.safe_load((Path(__file__).parents[2] / "conf" / "fetch" / "nsmc.yaml").read_text())
    into = fetch(tmp_path, recipe["source"], real_mirror)
    lines = (into / "ratings_train.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id\tdocument\tlabel" and len(lines) == 150_001


def test_real_mirror_serves_an_archive(tmp_path: Path, real_mirror: str) -> None:
    into = fetch(tmp_path, {"name": "mirror", "set": "corpus-en-peps"}, real_mirror)
    assert len(list(into.rglob("*.rst"))) == 736


def test_real_mirror_sets_are_all_readable(real_mirror: str) -> None:
    listed = json.loads((Path(real_mirror) / "manifest.json").read_text(encoding="utf-8"))
    assert len(Mirror(real_mirror).files) == sum(len(entry["files"]) for entry in listed["sets"])
