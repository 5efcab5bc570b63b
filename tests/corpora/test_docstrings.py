"""The harvest: exact on a small distribution, the same bytes for any number of processes."""

import importlib.metadata
import json
from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.corpora import FetchRecipe, docstrings
from seedbed.corpora.docstrings import SourceFile, harvest_source, licence_of, read_requirements
from seedbed.corpora.source import FetchContext

FILE = SourceFile("pack", "1.0", "MIT", "pack.mod", "pack/mod.py", 0)
SOURCE = '''"""Module: 모듈 설명."""
import nothing_that_exists
raise SystemExit("never executed")

class Outer(Base):
    """Outer.

    Text.
        Indented.
    """
    x = "not a docstring"
    def method(self, a: int, *rest: str, key=None, **more) -> list[int]:
        \'single quotes\'
        def inner(): """Inner."""
    @property
    def p(self): """Getter."""
    @p.setter
    def p(self, v): """Setter."""

if True:
    async def run(x, /, y): """In an if."""
else:
    try:
        def run(): """In a try."""
    except E:
        def run(): b"""bytes are none"""
def empty(): """   """
def formatted(): f"""no {docstring}"""
def surrogate(): "half \\ud800 pair"
'''


def test_every_docstring_with_its_place() -> None:
    found = {document.id: document for document in harvest_source(SOURCE.encode(), FILE)}
    assert {key: document.text for key, document in found.items()} == {
        "pack/pack.mod:": "Module: 모듈 설명.",
        "pack/pack.mod:Outer": "Outer.\n\nText.\n    Indented.",
        "pack/pack.mod:Outer.method": "single quotes",
        "pack/pack.mod:Outer.method.<locals>.inner": "Inner.",
        "pack/pack.mod:Outer.p": "Getter.",
        "pack/pack.mod:Outer.p@2": "Setter.",
        "pack/pack.mod:run": "In an if.",
        "pack/pack.mod:run@2": "In a try.",
        "pack/pack.mod:surrogate": "half ? pair",
    }
    assert found["pack/pack.mod:Outer.method"].meta == {
        "package": "pack",
        "version": "1.0",
        "licence": "MIT",
        "module": "pack.mod",
        "object": "Outer.method",
        "kind": "function",
        "signature": "(self, a: int, *rest: str, key=None, **more) -> list[int]",
    }
    assert found["pack/pack.mod:"].meta["kind"] == "module"
    assert found["pack/pack.mod:Outer"].meta["signature"] == ""


def test_other_encodings_are_declared_in_the_file() -> None:
    source = '# -*- coding: cp949 -*-\n"""한국어"""\n'.encode("cp949")
    assert [document.text for document in harvest_source(source, FILE)] == ["한국어"]


def lock(tmp_path: Path, *names: str) -> None:
    lines = ["# a comment", "", *(f"{name}=={importlib.metadata.version(name)}" for name in names)]
    (tmp_path / "requirements.lock").write_text("\n".join(lines) + "\n")


def fetch(tmp_path: Path, out: str, processes: int = 1) -> tuple[bytes, dict[str, object]]:
    (tmp_path / out).mkdir()
    source = FetchRecipe.parse({"source": {"name": "docstrings"}}, "fetch.docstrings").source
    context = FetchContext(root=tmp_path, scratch=tmp_path, processes=processes)
    facts = source.fetch(tmp_path / out, context=context)
    return (tmp_path / out / "documents.jsonl").read_bytes(), facts


def test_same_bytes_from_one_process_and_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docstrings, "TASK_BYTES", 300_000)  # several tasks from little text
    lock(tmp_path, "pydantic", "packaging")
    data, facts = fetch(tmp_path, "one")
    assert data == fetch(tmp_path, "two", processes=2)[0]
    lines = [json.loads(line) for line in data.splitlines()]
    ids = [line["id"] for line in lines]
    assert len(set(ids)) == len(ids) == facts["documents"]
    packages = [line["meta"]["package"] for line in lines]
    assert packages == sorted(packages) and set(packages) == {"packaging", "pydantic"}
    assert facts["distributions"]["pydantic"]["licence"] == "MIT"
    assert str(tmp_path) not in data.decode() and "site-packages" not in json.dumps(facts)
    # the real thing, by its own word
    import pydantic

    shown = next(line for line in lines if line["id"] == "pydantic/pydantic.main:BaseModel.model_dump")
    assert shown["text"].splitlines()[0] == pydantic.BaseModel.model_dump.__doc__.strip().splitlines()[0]
    assert not any(".tests." in line["meta"]["module"] for line in lines)


@pytest.mark.parametrize(
    "line, fault",
    [
        ("packaging==0.0.1", "is locked but .* is installed; run `make setup`"),
        ("no-such-distribution-here==1.0", "is not installed; run `make setup`"),
        ("packaging>=1", r"requirements\.lock:1: .* pins no version"),
        ("-e .", r"requirements\.lock:1: expected name==version"),
        ("# nothing", "names no distribution"),
        ("packaging==1; python_version < '3'", "names no distribution"),
    ],
)
def test_lock_file_faults(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "requirements.lock").write_text(line + "\n")
    with pytest.raises(UserError, match=fault):
        fetch(tmp_path, "out")


def test_lock_file_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs the lock file"):
        read_requirements(tmp_path / "requirements.lock")


@pytest.mark.parametrize(
    "metadata, licence",
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: x", "MIT OR Apache-2.0"),
        ("Classifier: License :: OSI Approved :: BSD License\nLicense: Copyright (c) 2001", "BSD License"),
        ("License: BSD 3-Clause License\n\n  Copyright", "BSD 3-Clause License"),
        ("Classifier: License :: OSI Approved", "none stated"),
    ],
)
def test_licence(tmp_path: Path, metadata: str, licence: str) -> None:
    folder = tmp_path / "x-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: x\nVersion: 1.0\n{metadata}\n")
    assert licence_of(importlib.metadata.PathDistribution(folder)) == licence
