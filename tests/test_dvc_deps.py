"""dvc.yaml's code dependencies against the real imports: changed code reruns what it may change."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"

# What cannot change a digit: what is recorded about a run, what is shown while it works, what is told about it.
NO_DIGITS = {"src/seedbed/tracking", "src/seedbed/progress.py", "src/seedbed/fidelity.py"}


def file_of(module: str, source: Path) -> Path | None:
    """The file of a dotted module of ours; None when it is no module (a name inside one)."""
    path = source.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imported_names(tree: ast.AST) -> list[str]:
    """Dotted names imported anywhere in a module, in functions too, but not for the type checker alone."""
    names: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.If) and is_type_checking(node):
            for other in node.orelse:
                names += imported_names(ast.Module([other], []))
        else:
            names += imported_names(node)
    return names


def closure(module: str, source: Path = SOURCE) -> set[Path]:
    """Every file of seedbed that is run when `module` is imported and its functions are called."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = file_of(name, source)
        if path is None:  # `from package.module import thing`: the module counts
            name = name.rpartition(".")[0]
            path = file_of(name, source)
        if path is None or path in found:
            continue
        found.add(path)
        parts = name.split(".")
        waiting += [".".join(parts[:length]) for length in range(2, len(parts))]  # the packages above run too
        tree = ast.parse(path.read_text(encoding="utf-8"))
        waiting += [name for name in imported_names(tree) if name.split(".")[0] == "seedbed"]
    return found


def collapse(files: set[Path], source: Path = SOURCE) -> set[str]:
    """Files to what dvc.yaml lists: a room's folder, a single file of the top, one stage's own file."""
    deps = set()
    for path in files:
        parts = path.relative_to(source).parts
        if parts in (("seedbed", "__init__.py"), ("seedbed", "stages", "__init__.py")):
            continue  # they hold a docstring and the version
        deps.add("/".join(["src", *(parts if parts[1] == "stages" else parts[:2])]))
    return deps - NO_DIGITS


def stages() -> dict[str, dict[str, Any]]:
    """Stage name to its definition, the body of a `foreach` taken for all its members."""
    path = ROOT / "dvc.yaml"
    assert path.is_file(), "dvc.yaml is missing"
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: body.get("do", body) for name, body in tree["stages"].items()}


def verb_of(stage: dict[str, Any]) -> str:
    command = stage["cmd"] if isinstance(stage["cmd"], str) else " && ".join(stage["cmd"])
    found = re.search(r"\bseedbed (\w+)", command)
    assert found, f"no `seedbed VERB` in {command!r}"
    return found.group(1)


def listed_code(stage: dict[str, Any]) -> set[str]:
    paths = [dep if isinstance(dep, str) else next(iter(dep)) for dep in stage.get("deps", [])]
    return {path.rstrip("/") for path in paths if path.startswith("src/")}


def test_code_deps_are_the_import_closure() -> None:
    wrong = []
    for name, stage in stages().items():
        verb = verb_of(stage)
        real = collapse(closure(f"seedbed.stages.{verb}"))
        listed = listed_code(stage)
        gone = sorted(path for path in listed if not (ROOT / path).exists())
        assert not gone, f"stage {name}: {gone} does not exist"
        if verb == "compose" and listed == {"src/seedbed"}:
            continue  # it holds every schema, and those stand in every room
        if real != listed:
            lines = "\n".join(f"      - {path}" for path in sorted(real))
            wrong.append(
                f"stage {name}: missing {sorted(real - listed)}, too many {sorted(listed - real)}; "
                f"its code deps in dvc.yaml are\n{lines}"
            )
    assert not wrong, "\n\n" + "\n\n".join(wrong)


def test_stages_bear_their_verbs_name() -> None:
    for name, stage in stages().items():
        # forecast runs that need another's folder are a stage of their own
        assert verb_of(stage) == {"transfer": "forecast"}.get(name, name)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    for name, text in {
        "seedbed/__init__.py": "",
        "seedbed/config.py": "",
        "seedbed/metrics.py": "",
        "seedbed/progress.py": "",
        "seedbed/stages/grow.py": "from typing import TYPE_CHECKING\n"
        "from seedbed.models import nbeats\n"
        "import seedbed.progress\n"
        "if TYPE_CHECKING:\n    from seedbed.tasks import x\n"
        "def run():\n    from seedbed.metrics import accuracy\n",
        "seedbed/stages/other.py": "",
        "seedbed/tasks/__init__.py": "",
        "seedbed/models/__init__.py": "from seedbed.config import Strict\n",
        "seedbed/models/nbeats.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_closure_follows_packages_and_functions_but_not_the_type_checker(toy: Path) -> None:
    assert collapse(closure("seedbed.stages.grow", toy), toy) == {
        "src/seedbed/config.py",
        "src/seedbed/metrics.py",
        "src/seedbed/models",
        "src/seedbed/stages/grow.py",
    }


def test_a_clone_holds_the_folders_that_evaluate_reads() -> None:
    """DVC refuses a stage whose folder is missing, and params.yaml may have no run of a kind."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    folders = [dep for dep in stages["evaluate"]["deps"] if dep.startswith(("data/", "models/"))]
    assert len(folders) == 5
    for folder in folders:
        assert (ROOT / folder / ".gitkeep").is_file(), folder
    assert ".gitkeep" in (ROOT / ".dvcignore").read_text().splitlines()
