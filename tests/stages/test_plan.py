"""plan: what is printed before a run and beside one that is under way; mistakes in one line."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from seedbed import __main__ as cli
from seedbed import recipes
from seedbed.config import Machine
from seedbed.objectives import PretrainRecipe
from seedbed.stages import compose
from seedbed.training.elapsed import Elapsed, write_elapsed
from seedbed.workspace import identify
from tests.data.bilingual import write_tokens

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root")
    write_tokens(made / "data/tokens/declaration")
    return made


@pytest.fixture
def recipe(root: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainRecipe:
    settings = {"decoder.max_length": 32, "global_batch_size": 8, "max_steps": 400, "precision": "fp32"}
    tree = compose.compose_run(REPOSITORY, "pretrain", "gpt2_tiny", {"tokens": "declaration"}, settings)
    made = PretrainRecipe.parse(tree, "pretrain.gpt2_tiny")
    missing = made.model_copy(update={"tokens": "nowhere"})
    lock = SimpleNamespace(pretrain={"gpt2_tiny": made, "other": missing})
    monkeypatch.setattr(recipes, "load_lock", lambda root: lock)
    monkeypatch.chdir(root)
    (root / "machine.yaml").write_text("threads: 1\ntokens_per_device: 128\n")
    monkeypatch.setenv("SEEDBED_MACHINE", "machine.yaml")
    return made


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = capsys.readouterr().out.splitlines()
    return {line[:15].strip(): line[15:] for line in lines[1:]}


def test_a_plan_and_what_happened(
    root: Path, recipe: PretrainRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", "gpt2_tiny", "probe.seconds=0.1"]) == 0
    found = printed(capsys)
    assert found["a step"] == "8 rows x 32 tokens in micro-batches of 4 rows"
    assert found["tokens"].startswith("102,400 in 400 steps, ")
    assert int(found["parameters"].replace(",", "")) == sum(
        p.numel() for p in recipe.build(SimpleNamespace(size=500, pad_id=0, sep_id=2)).parameters()
    )
    speed = re.match(r"([\d,]+) tokens/s \[([\d,]+), ([\d,]+)\], n=(\d+) steps", found["speed"])
    assert speed is not None
    value, low, high, count = (int(group.replace(",", "")) for group in speed.groups())
    assert low <= value <= high and count >= 3
    hours = float(found["hours"].split()[0])
    assert hours == pytest.approx(102_400 / value / 3600, rel=0.02)
    assert "what happened" not in found

    folder = root / "data/tokens/declaration"
    identity = recipe.model_dump(mode="json")
    _, scratch = identify(
        root, Machine(), "pretrain", "gpt2_tiny", identity, {"tokenize/declaration": folder}
    )
    (scratch / "checkpoints").mkdir(parents=True)
    write_elapsed(scratch / "checkpoints", Elapsed(100, 36.0))
    assert cli.main(["plan", "gpt2_tiny", "probe.seconds=0.1"]) == 0
    assert printed(capsys)["what happened"].startswith(
        "100 of 400 steps in 0.01 hours with validation, 711 tokens/s, "
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "plan: which run? seedbed plan RUN"),
        (["bert"], "plan bert: no such pretrain run; known: gpt2_tiny, other"),
        (["other"], "plan other: no data/tokens/nowhere yet; make it: dvc repro tokenize@nowhere"),
        (["gpt2_tiny", "probe.seconds=0"], "probe.seconds: input should be greater than 0, got 0"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], told: str, recipe: PretrainRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", *words]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
