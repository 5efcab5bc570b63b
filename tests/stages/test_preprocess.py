"""The preprocess stage: documents in, three splits out; every conf file composes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seedbed.config import Machine, UserError
from seedbed.corpora import TestSplit, read_split
from seedbed.corpora.base import SPLITS, Document, encode_document
from seedbed.preprocessing import PreprocessRecipe
from seedbed.stages import preprocess
from seedbed.stages.compose import compose_run
from seedbed.workspace import Workspace

CONF = Path(__file__).parents[2] / "conf"
RUNS = sorted(path.stem for path in (CONF / "preprocess").glob("*.yaml") if not path.stem.startswith("_"))


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    metrics: dict[str, float] = {}

    class Tracked:
        def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
            metrics.update(values)

    @contextmanager
    def open_run(workspace: Workspace, label: str | None = None) -> Iterator[Tracked]:
        yield Tracked()

    monkeypatch.setattr(preprocess, "open_run", open_run)
    return metrics


def composed(run: str) -> PreprocessRecipe:
    tree = compose_run(CONF.parent, "preprocess", run, {}, {})
    return PreprocessRecipe.parse(tree, f"preprocess.{run}")


def workspace(root: Path, raw: Path, *, run: str = "docstrings") -> Workspace:
    return Workspace(
        root=root,
        verb="preprocess",
        run=run,
        machine=Machine(),
        out=root / "data" / "clean" / run,
        scratch=root / ".scratch" / run,
        fingerprint="0",
        lock_digest="0",
        flat_recipe={},
        inputs={f"fetch/{run}": raw},
    )


def raw_docstrings(root: Path, documents: list[Document]) -> Path:
    raw = root / "data" / "raw" / "docstrings"
    raw.mkdir(parents=True)
    (raw / "documents.jsonl").write_bytes(b"".join(map(encode_document, documents)))
    (raw / "manifest.json").write_text(json.dumps({"documents": len(documents)}))
    return raw


def documents(count: int) -> list[Document]:
    keys = ("package", "version", "licence", "module", "object", "kind", "signature")
    return [
        Document(
            f"p/m{n % 97}:f{n}",
            f"Return number {n} of the list, 한국어 설명 포함.",
            {**dict.fromkeys(keys, "x"), "module": f"m{n % 97}"},
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("run", RUNS)
def test_conf_composes(run: str) -> None:
    recipe = composed(run)
    recipe.build(f"preprocess.{run}")
    assert preprocess.inputs(recipe) == [("fetch", recipe.source)]
    assert (CONF / "fetch" / f"{recipe.source}.yaml").is_file()


def test_docstrings_are_split_by_module(tmp_path: Path, tracked: dict[str, float]) -> None:
    space = workspace(tmp_path, raw_docstrings(tmp_path, documents(2000)))
    preprocess.run(space, composed("docstrings"))
    key = TestSplit("a test of preprocess")
    modules = {split: {d.meta["module"] for d in read_split(space.out, split, key)} for split in SPLITS}
    assert not modules["train"] & modules["valid"] and not modules["train"] & modules["test"]
    assert not modules["valid"] & modules["test"]
    manifest = json.loads((space.out / "manifest.json").read_text(encoding="utf-8"))
    assert sum(manifest["documents"].values()) == manifest["read"] == 2000
    assert tracked["train/documents"] == manifest["documents"]["train"]


@pytest.mark.parametrize("text", [b"", encode_document(Document("a", "short"))])
def test_empty_corpus_publishes_nothing(tmp_path: Path, tracked: dict[str, float], text: bytes) -> None:
    raw = raw_docstrings(tmp_path, [])
    line = json.loads(text) if text else None
    if line:
        line["meta"] = documents(1)[0].meta
        (raw / "documents.jsonl").write_text(json.dumps(line))
    with pytest.raises(
        UserError, match=r"preprocess\.docstrings: empty corpus: [01] documents read, dropped"
    ):
        preprocess.run(workspace(tmp_path, raw), composed("docstrings"))
    assert list((tmp_path / "data" / "clean").iterdir()) == []


def test_not_utf8_publishes_nothing(tmp_path: Path, tracked: dict[str, float]) -> None:
    raw = raw_docstrings(tmp_path, documents(50))
    with (raw / "documents.jsonl").open("ab") as file:
        file.write("한국어".encode("cp949"))
    with pytest.raises(UserError, match=r"documents\.jsonl: not UTF-8 at byte \d+ \(line 51"):
        preprocess.run(workspace(tmp_path, raw), composed("docstrings"))
    assert list((tmp_path / "data" / "clean").iterdir()) == []
