"""A project of its own around the real code: the tiny table of contents, a corpus of a few packages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
BINARIES = Path(sys.executable).parent
PACKAGES = (
    "filelock",
    "huggingface_hub",
    "jinja2",
    "joblib",
    "packaging",
    "pydantic",
    "tqdm",
    "click",
    "numpy",
)


def make_project(root: Path) -> Path:
    """What a clone holds that the pipeline needs, under git and dvc."""
    for name in ("conf", "src"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(REPOSITORY / name, root)
    shutil.copy(Path(__file__).with_name("params.yaml"), root)
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    chosen = [line for line in lines if line.partition("==")[0].lower().replace("-", "_") in PACKAGES]
    assert len(chosen) == len(PACKAGES), chosen
    # statsmodels brings the series; its docstrings are left out of the tiny corpus
    (root / "requirements.lock").write_text("\n".join(chosen) + "\n")
    run(root, "git", "init", "--quiet")
    run(root, "dvc", "init", "--quiet")
    return root


def run(root: Path, program: str, *arguments: str, code: int = 0, **variables: str) -> str:
    """A program of this environment in `root`; its output."""
    path = os.pathsep.join([str(BINARIES), os.environ["PATH"]])
    done = subprocess.run(
        [program, *arguments],
        cwd=root,
        env={**os.environ, "PATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == code, f"{program} {' '.join(arguments)}:\n{done.stdout[-4000:]}"
    return done.stdout
