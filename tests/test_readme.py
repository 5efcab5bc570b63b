"""The README's examples, taken from its text, compose."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from seedbed.recipes import load_lock
from seedbed.stages import compose

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the repository's conf/ and the files that the README says to write."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for block in BLOCKS:
        if name := re.match(r"# (conf/\S+)\n", block):
            path = tmp_path / name.group(1)
            assert not path.exists(), f"{name.group(1)} is taken by the project itself"
            path.write_text(block, encoding="utf-8")
    return tmp_path


def write_params(project: Path, tree: dict[str, object]) -> None:
    (project / "params.yaml").write_text(yaml.safe_dump({**tree, "evaluate": "default"}), encoding="utf-8")


def test_your_own_text(project: Path) -> None:
    [params] = [block for block in BLOCKS if block.startswith("fetch:")]
    write_params(project, yaml.safe_load(params))
    compose.run(project)
    lock = load_lock(project)
    assert lock.fetch["mine"].source.name == "local"
    assert lock.preprocess["mine"].normalisation.form == "NFC"
    assert lock.pretrain["electra_tiny-mine"].objective.name == "replaced_token_detection"


def test_your_own_series(project: Path) -> None:
    recipe = (ROOT / "conf/forecast/nbeats_generic-classics.yaml").read_text(encoding="utf-8")
    mine = project / "conf/forecast/nbeats_generic-sales.yaml"
    mine.write_text(recipe.replace("/panel: classics", "/panel: sales"), encoding="utf-8")
    write_params(project, {"fetch": {"sales": {}}, "forecast": {"nbeats_generic-sales": {"source": "sales"}}})
    compose.run(project)
    assert load_lock(project).forecast["nbeats_generic-sales"].panel.file == "sales.csv"


def test_the_korean_example_by_url(project: Path) -> None:
    write_params(project, {"fetch": {"nsmc": {}}, "preprocess": {"nsmc": {"source": "nsmc"}}})
    compose.run(project)
    assert load_lock(project).preprocess["nsmc"].reader.name == "csv"
