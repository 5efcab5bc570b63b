"""The docstrings of the installed Python distributions that a lock file names: real text, no network.

Files are parsed with `ast`, never imported. Left out, because the label or the licence would be
wrong or the text is no documentation: vendored copies (`_vendor`, `vendored` ... folders, which have
their own licences) and test folders.
"""

import ast
import gc
import importlib.metadata
import inspect
import multiprocessing
import re
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from seedbed.config import Strict, UserError
from seedbed.corpora.base import Document, encode_document, read_lines
from seedbed.corpora.source import Facts, FetchContext
from seedbed.progress import Progress

SKIPPED_FOLDERS = frozenset(
    ("__pycache__", "test", "tests", "_vendor", "_vendored", "vendor", "vendored", "_vendored_packages")
)
TASK_BYTES = 2_000_000
"""Source text per task: small enough to keep all processes busy to the end."""

Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class SourceFile(NamedTuple):
    """One Python file of a distribution."""

    package: str
    version: str
    licence: str
    module: str
    path: str
    size: int


class Harvest(NamedTuple):
    """What one task found."""

    lines: bytes
    documents: int
    files: int
    unparsable: int


class DocstringsConfig(Strict):
    name: Literal["docstrings"]
    distributions: Literal["locked"] = "locked"
    requirements: str = "requirements.lock"

    def fetch(self, into: Path, *, context: FetchContext) -> Facts:
        """Write documents.jsonl, ordered by distribution, file and line."""
        locked = read_requirements(context.root / self.requirements)
        files = list(source_files(locked, self.requirements))
        progress = Progress("harvest docstrings", sum(file.size for file in files), "B")
        documents = parsed = unparsable = 0
        tasks = list(_tasks(files))
        try:
            with (into / "documents.jsonl").open("wb") as out:
                for task, harvest in zip(tasks, _harvest_all(tasks, context.processes), strict=True):
                    out.write(harvest.lines)
                    documents += harvest.documents
                    parsed += harvest.files
                    unparsable += harvest.unparsable
                    progress.update(sum(file.size for file in task), documents=str(documents))
        finally:
            progress.close()
        if not documents:
            raise UserError(f"docstrings: the distributions of {self.requirements} hold no docstring")
        return {
            "documents": documents,
            "python_files": {"parsed": parsed, "not parsable": unparsable},
            "distributions": {
                file.package: {"version": file.version, "licence": file.licence} for file in files
            },
        }


def read_requirements(path: Path) -> dict[str, Requirement]:
    """The distributions of a lock file by canonical name; only `name==version` lines are a lock."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; `fetch docstrings` needs the lock file of the environment")
    locked: dict[str, Requirement] = {}
    for number, line in read_lines(path):
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line:
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            raise UserError(f"{path}:{number}: expected name==version, got {line[:60]!r}") from None
        pins = list(requirement.specifier)
        if len(pins) != 1 or pins[0].operator != "==" or pins[0].version.endswith("*"):
            raise UserError(f"{path}:{number}: {line[:60]!r} pins no version; write name==version")
        if requirement.marker is None or requirement.marker.evaluate():
            locked[canonicalize_name(requirement.name)] = requirement
    if not locked:
        raise UserError(f"{path}: names no distribution; expected lines name==version")
    return dict(sorted(locked.items()))


def source_files(locked: dict[str, Requirement], requirements: str) -> Iterator[SourceFile]:
    """The Python files of the locked distributions, in order; a file of two of them counts for the first."""
    seen: set[str] = set()
    for package, requirement in locked.items():
        try:
            distribution = importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            raise UserError(f"{requirements}: {requirement} is not installed; run `make setup`") from None
        if not requirement.specifier.contains(distribution.version, prereleases=True):
            raise UserError(
                f"{requirements}: {requirement} is locked but {distribution.version} is installed; "
                "run `make setup`"
            )
        # Without the local part: torch 2.1+cpu and 2.1+cu12 have the same docstrings.
        version, licence = Version(distribution.version).public, licence_of(distribution)
        for file in sorted(distribution.files or [], key=str):
            folders = set(file.parts[:-1])
            if file.suffix != ".py" or ".." in file.parts or folders & SKIPPED_FOLDERS:
                continue
            path = Path(str(distribution.locate_file(file)))
            if str(path) in seen or not path.is_file():
                continue
            seen.add(str(path))
            parts = list(file.with_suffix("").parts)
            module = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
            yield SourceFile(package, version, licence, module, str(path), path.stat().st_size)


def licence_of(distribution: importlib.metadata.Distribution) -> str:
    """The licence as the metadata states it: expression, else classifiers, else the text's first line."""
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return str(metadata["License-Expression"])
    classifiers = [
        entry.split("::")[-1].strip()
        for entry in metadata.get_all("Classifier") or []
        if entry.startswith("License ::") and entry.strip() != "License :: OSI Approved"
    ]
    if classifiers:
        return "; ".join(sorted(classifiers))
    # Many distributions put the whole licence text here; its first line names it.
    text = str(metadata["License"]).strip() if "License" in metadata else ""
    return text.splitlines()[0].strip()[:100] if text else "none stated"


def _tasks(files: list[SourceFile]) -> Iterator[list[SourceFile]]:
    task: list[SourceFile] = []
    for file in files:
        task.append(file)
        if sum(entry.size for entry in task) >= TASK_BYTES:
            yield task
            task = []
    if task:
        yield task


def _harvest_all(tasks: list[list[SourceFile]], processes: int) -> Iterator[Harvest]:
    """The harvests in the order of the tasks, however many processes work on them."""
    if processes == 1 or len(tasks) == 1:
        yield from map(harvest_files, tasks)
        return
    # spawn: the parent may have threads (tracking), and forking those is not safe.
    context = multiprocessing.get_context("spawn")
    # Syntax trees hold no cycles, so the collector finds nothing in them and costs a quarter of the time.
    with ProcessPoolExecutor(min(processes, len(tasks)), mp_context=context, initializer=gc.disable) as pool:
        yield from pool.map(harvest_files, tasks)


def harvest_files(files: list[SourceFile]) -> Harvest:
    """All docstrings of some files as JSON lines."""
    lines: list[bytes] = []
    unparsable = 0
    for file in files:
        try:
            documents = list(harvest_source(Path(file.path).read_bytes(), file))
        # Templates and samples of other Pythons lie in some distributions: counted, not hidden.
        except (SyntaxError, ValueError, RecursionError):
            unparsable += 1
            continue
        lines += map(encode_document, documents)
    return Harvest(b"".join(lines), len(lines), len(files) - unparsable, unparsable)


def harvest_source(source: bytes, file: SourceFile) -> Iterator[Document]:
    """The docstrings of one file in the order of their lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        tree = ast.parse(source)
    uses: dict[str, int] = {}
    for node, name in _definitions(tree, ""):
        text = _docstring(node)
        if not text:
            continue
        uses[name] = uses.get(name, 0) + 1
        # A name can be defined twice in a file (overloads, property setters): number the repetitions.
        repeated = f"@{uses[name]}" if uses[name] > 1 else ""
        yield Document(
            id=f"{file.package}/{file.module}:{name}{repeated}",
            text=text,
            meta={
                "package": file.package,
                "version": file.version,
                "licence": file.licence,
                "module": file.module,
                "object": name,
                "kind": _kind(node),
                "signature": _signature(node),
            },
        )


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[Definition, str]]:
    """Modules, classes and functions with qualified names; nested functions as Python names them."""
    if isinstance(node, ast.Module):
        yield node, ""
    elif isinstance(node, ast.ClassDef):
        yield node, prefix + node.name
        prefix += f"{node.name}."
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node, prefix + node.name
        prefix += f"{node.name}.<locals>."
    # Only statements hold definitions: skipping expressions makes the walk several times faster.
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, field, None) or ():
            if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                yield from _definitions(child, prefix)


def _docstring(node: Definition) -> str:
    if not node.body or not isinstance(node.body[0], ast.Expr):
        return ""
    value = node.body[0].value
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
        return ""
    # "\ud800" is legal in Python source and in no text file.
    text = value.value.encode("utf-8", "replace").decode("utf-8")
    return inspect.cleandoc(text).strip()


def _kind(node: Definition) -> str:
    if isinstance(node, ast.Module):
        return "module"
    return "class" if isinstance(node, ast.ClassDef) else "function"


def _signature(node: Definition) -> str:
    """`(x: int, y=1) -> str` as written; empty for modules and classes."""
    if isinstance(node, ast.Module | ast.ClassDef):
        return ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    signature = f"({ast.unparse(node.args)}){returns}"
    return signature.encode("utf-8", "replace").decode("utf-8")
