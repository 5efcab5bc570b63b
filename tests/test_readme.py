"""The examples of the README and of docs/tasks.md, taken from their text, compose."""

import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from seedbed.recipes import load_lock
from seedbed.stages import compose
from seedbed.tasks.examples import training_examples

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


def test_your_own_labels(tmp_path: Path) -> None:
    """docs/tasks.md: the table is read, parted and learned from; the two runs are compared by default."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    page = (ROOT / "docs/tasks.md").read_text(encoding="utf-8")
    section = page.partition("## Your own labels\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```yaml\n# (\S+?\.yaml)[^\n]*\n(.*?)```", section, re.DOTALL)
    assert [name for name, _ in blocks][-1] == "params.yaml" and len(blocks) == 5
    for name, block in blocks[:-1]:
        assert not (tmp_path / name).exists(), f"{name} is taken by the project itself"
        (tmp_path / name).write_text(block, encoding="utf-8")
    tree = yaml.safe_load(blocks[-1][1])
    pretrain = {"electra_tiny": {"tokens": "docstrings-wordpiece8k"}}
    tokens = {"tokenize": {"docstrings-wordpiece8k": {"corpus": "docstrings"}}, "pretrain": pretrain}
    tree["fetch"]["docstrings"], tree["preprocess"]["docstrings"] = {}, {"source": "docstrings"}
    write_params(tmp_path, tree | tokens)
    compose.run(tmp_path)
    lock = load_lock(tmp_path)
    recipe = lock.finetune["electra_tiny-reviews"]
    assert (recipe.task.name, recipe.task.headline, recipe.max_steps) == ("classification", "macro_f1", 600)
    rows = [f'"{n}번째, 영화 👍",{"긍정" if n % 2 else "부정"}' for n in range(200)]
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    raw.mkdir()
    clean.mkdir()
    (raw / "reviews.csv").write_text("\ufefftext,label\r\n" + "\r\n".join(rows), encoding="utf-8")
    preprocess = lock.preprocess["reviews"]
    preprocess.build("preprocess").write(preprocess.reader.read(raw), clean, where="preprocess")
    facts, train, valid = training_examples(recipe.task, clean)
    assert facts.labels == ("긍정", "부정") and train[0].text.endswith("번째, 영화 👍")
    assert len(train) > 4 * len(valid) > 0
    asked = [
        (pair.a, pair.b)
        for pair in lock.evaluate.finetune
        if fnmatch("electra_tiny-reviews", pair.a) and fnmatch("reviews-tfidf", pair.b)
    ]
    assert asked == [("*", "*-tfidf")]
