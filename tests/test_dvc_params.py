"""dvc.yaml names what each stage reads: a misspelt params key, or a forgotten one, vanishes silently in DVC."""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from seedbed import __main__ as cli
from seedbed.config import Machine
from seedbed.forecasting import ForecastRecipe
from seedbed.recipes import COMPOSED, LOCK, load_lock
from seedbed.workspace import artifact, identify

REPOSITORY = Path(__file__).parents[1]
PIPELINE: dict[str, Any] = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
PARAMS: dict[str, Any] = yaml.safe_load((REPOSITORY / "params.yaml").read_text())


class Recording:
    """The lock, noting every branch that is read: `pretrain` as a whole or `pretrain.electra_tiny`."""

    def __init__(self, lock: Any) -> None:
        self._lock, self.read = lock, set()

    def __getattr__(self, verb: str) -> Any:
        value = getattr(self._lock, verb)
        return Runs(value, verb, self.read) if isinstance(value, dict) else self._note(verb, value)

    def _note(self, verb: str, value: Any) -> Any:
        self.read.add(verb)
        return value


class Runs(dict[str, Any]):
    def __init__(self, runs: dict[str, Any], verb: str, read: set[str]) -> None:
        super().__init__(runs)
        self._verb, self._read = verb, read

    def __getitem__(self, run: str) -> Any:
        self._read.add(f"{self._verb}.{run}")
        return super().__getitem__(run)


def stages(verb: str) -> list[tuple[str, dict[str, Any]]]:
    """(run, stage) of a verb, its templates filled in as DVC does."""
    stage = PIPELINE["stages"][verb]
    if "foreach" not in stage:
        return [("report", stage)]
    assert stage["foreach"] == f"${{{verb}}}"
    filled = []
    for run, links in PARAMS[verb].items():
        text = yaml.safe_dump(stage["do"]).replace("${key}", run)
        for name, value in (links or {}).items():
            text = text.replace(f"${{item.{name}}}", str(value))
        assert "${" not in text, text
        filled.append((run, yaml.safe_load(text)))
    return filled


def tracked(stage: dict[str, Any]) -> set[str]:
    return {key for entry in stage["params"] for key in entry[LOCK]}


@pytest.mark.parametrize("verb", [verb for verb in COMPOSED if verb != "evaluate"])
def test_a_stage_tracks_exactly_the_branches_it_reads(verb: str) -> None:
    lock = load_lock(REPOSITORY)
    module = import_module(f"seedbed.stages.{verb}")
    for run, stage in stages(verb):
        recording = Recording(lock)
        recipe = cli._recipe(recording, verb, run)
        needs = module.inputs(recipe, recording) if verb == "tune" else module.inputs(recipe)
        assert tracked(stage) == recording.read, run
        if verb != "tune":  # a search asks for its inputs itself: it is frozen in DVC
            folders = {artifact(REPOSITORY, *need).relative_to(REPOSITORY).as_posix() for need in needs}
            data = {dep for dep in stage["deps"] if dep.startswith(("data/", "models/"))}
            assert data == folders, run
            assert stage["outs"] == [artifact(REPOSITORY, verb, run).relative_to(REPOSITORY).as_posix()]
        assert stage["cmd"] == f"seedbed {verb} {run}"


def test_a_transfer_depends_on_the_run_it_takes_its_members_from() -> None:
    """As a forecast run does on its source; of one `foreach` either all do or none."""
    own = yaml.safe_dump(PIPELINE["stages"]["forecast"]["do"]).replace("${item.source}", "m1")
    transfer = PIPELINE["stages"]["transfer"]
    assert transfer["foreach"] == "${transfer}"
    text = (
        yaml.safe_dump(transfer["do"]).replace("${item.source}", "m1").replace("${item.model}", "nbeats-m3")
    )
    stage, expected = yaml.safe_load(text), yaml.safe_load(own)
    values = {"source": "m1", "panel": yaml.safe_load((REPOSITORY / "conf/panel/m1.yaml").read_text())}
    recipe = ForecastRecipe.parse(
        {**values, "forecaster": {"name": "transfer"}, "model": "nbeats-m3"}, "transfer"
    )
    needs = import_module("seedbed.stages.forecast").inputs(recipe)
    folders = {artifact(REPOSITORY, *need).relative_to(REPOSITORY).as_posix() for need in needs}
    assert set(stage["deps"]) == set(expected["deps"]) | folders
    assert {name: stage[name] for name in ("cmd", "params", "outs")} == {
        name: expected[name] for name in ("cmd", "params", "outs")
    }


def test_evaluate_tracks_every_branch_its_code_names() -> None:
    tree = ast.parse((REPOSITORY / "src/seedbed/stages/evaluate.py").read_text())
    named = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "lock"
    }
    (_, stage), *_ = stages("evaluate")
    assert tracked(stage) == {*named, "evaluate"}
    lock = load_lock(REPOSITORY)
    needs = import_module("seedbed.stages.evaluate").inputs(lock.evaluate, lock)
    for need in needs:
        folder = artifact(REPOSITORY, *need).relative_to(REPOSITORY)
        assert any(folder.is_relative_to(dep) for dep in stage["deps"]), folder


def test_compose_depends_on_every_folder_of_conf_but_the_machines() -> None:
    groups = {f"conf/{path.name}" for path in (REPOSITORY / "conf").iterdir() if path.is_dir()}
    listed = {dep for dep in PIPELINE["stages"]["compose"]["deps"] if dep.startswith("conf/")}
    assert listed == groups - {"conf/machine"}
    assert {"params.yaml": None} in PIPELINE["stages"]["compose"]["params"]


def test_no_vars_on_a_generated_file() -> None:
    """`vars:` on the lock would break every dvc command while it is missing."""
    assert "vars" not in PIPELINE


def test_the_docstrings_depend_on_the_environment() -> None:
    """DVC cannot see what is installed."""
    assert "requirements.lock" in PIPELINE["stages"]["fetch"]["do"]["deps"]


def test_resume_state_is_outside_every_out() -> None:
    """DVC deletes outs before it runs a stage."""
    _, scratch = identify(REPOSITORY, Machine(), "pretrain", "electra_tiny", {}, {})
    for verb in COMPOSED:
        assert not scratch.is_relative_to(artifact(REPOSITORY, verb, "electra_tiny"))


def test_caches_of_python_make_no_stage_dirty() -> None:
    assert "__pycache__" in (REPOSITORY / ".dvcignore").read_text().split()
