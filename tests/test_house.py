"""The house stands: the import contract holds and bites, the lock file is exact, the documents are true."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from seedbed.config import VERBS, load_machine

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache", "--no-logo", "--config", ROOT / "pyproject.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_import_contract_is_kept() -> None:
    result = lint_imports(ROOT / "src")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("metrics/forecasts.py", "from seedbed.models import encoder", "Imports go only downward"),
        ("corpora/base.py", "import seedbed.tokenization", "rooms on one floor"),
        ("training/module.py", "import seedbed.models.encoder", "The training loop knows no network"),
        ("models/encoder.py", "import pytorch_lightning", "pytorch_lightning has one door"),
        ("stages/fetch.py", "import mlflow", "mlflow has one door"),
        ("stages/fetch.py", "import optuna", "optuna has one door"),
        ("recipes.py", "import hydra", "hydra has one door"),
        ("models/encoder.py", "from transformers import AutoModel", "transformers has two doors"),
        ("stages/compose.py", "from dvc.repo import Repo", "dvc is a program"),
    ],
)
def test_the_import_contract_bites(tmp_path: Path, file: str, line: str, contract: str) -> None:
    shutil.copytree(
        ROOT / "src" / "seedbed", tmp_path / "seedbed", ignore=shutil.ignore_patterns("__pycache__")
    )
    target = tmp_path / "seedbed" / file
    target.write_text(target.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    broken = [row for row in result.stdout.splitlines() if " BROKEN" in row]
    assert any(contract in row for row in broken), result.stdout


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line) for line in lines), (
        "plain name==version only"
    )
    names = [canonicalize_name(line.partition("==")[0]) for line in lines]
    assert names == sorted(set(names)), "requirements.lock is sorted, each package once"
    return {name: line.partition("==")[2] for name, line in zip(names, lines, strict=True)}


def installed_closure() -> dict[str, str]:
    """What pyproject.toml asks for with [dev], and what that needs, as installed here."""
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    waiting = [Requirement(text) for text in [*project["dependencies"], *extras["dev"], *extras["notebooks"]]]
    seen: set[tuple[str, frozenset[str]]] = set()
    found: dict[str, str] = {}
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen or key[0] == "seedbed":
            continue
        seen.add(key)
        distribution = importlib.metadata.distribution(requirement.name)
        found[key[0]] = distribution.version.partition("+")[0]
        for text in distribution.requires or []:
            inner = Requirement(text)
            chosen = [{"extra": extra} for extra in requirement.extras] or [{"extra": ""}]
            # what a CUDA build of torch brings differs by platform, and is no part of the lock
            cuda = canonicalize_name(inner.name).startswith(("nvidia-", "cuda-", "triton"))
            if not cuda and (inner.marker is None or any(inner.marker.evaluate(each) for each in chosen)):
                waiting.append(inner)
    return found


def test_the_lock_file_is_exactly_what_the_project_needs() -> None:
    # The docstring corpus is made of exactly these packages: one more or less and everyone's numbers move.
    assert locked() == installed_closure()


MACHINES = sorted(path.stem for path in (ROOT / "conf/machine").glob("*.yaml") if "." not in path.stem)


@pytest.mark.parametrize("name", MACHINES)
def test_machine_files_load(name: str) -> None:
    machine = load_machine(ROOT, {"SEEDBED_MACHINE": name})
    assert machine.num_nodes == 1 or machine.launcher == "slurm"
    assert machine.world_size > 1 or machine.strategy == "ddp", "one device has nothing to share"


def test_there_are_machine_files_for_one_device_for_eight_and_for_many_nodes() -> None:
    assert {"local", "gpu", "gpu8", "gpu8_fsdp", "slurm", "slurm_nodes"} <= set(MACHINES)


def test_every_verb_has_its_stage_file() -> None:
    for verb in VERBS:
        assert (ROOT / "src" / "seedbed" / "stages" / f"{verb}.py").is_file(), (
            f"src/seedbed/stages/{verb}.py is missing"
        )


def test_no_code_folder_is_called_utils() -> None:
    assert not [
        path for path in (ROOT / "src").rglob("*") if path.stem in ("utils", "helpers", "common", "misc")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_paths_in_the_pages_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for target in re.findall(r"`make ([a-z-]+)", text):
        assert target in targets, f"{page.name}: no make {target}"
    for path in re.findall(r"`((?:src|jobs|docs|notebooks|tests)/[\w./-]+)`", text):
        # x, mine and the like stand for what the reader will write
        if not re.search(r"(^|/|_)(x|mine)\b", path):
            assert (ROOT / path).exists(), f"{page.name}: {path} does not exist"


def test_pre_commit_runs_what_make_check_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    entries = " ".join(hook["entry"] for hook in hooks)
    for tool in (
        "ruff check",
        "ruff format",
        "mypy",
        "lint-imports",
        "docs.reference --check",
        "docs.fidelity --check",
    ):
        assert tool in entries
        assert tool in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_wheel_holds_the_whole_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT],
        check=True,
        timeout=300,
    )
    [wheel] = tmp_path.glob("seedbed-*.whl")
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "seedbed").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    packed = {
        path.relative_to(tmp_path / "unpacked").as_posix()
        for path in (tmp_path / "unpacked" / "seedbed").rglob("*")
        if path.is_file()
    }
    assert packed == source
