"""Suites: every benchmark composes; lines go into params.yaml once, and nothing else in it changes."""

import shutil
from pathlib import Path

import pytest
import yaml

from seedbed.config import Machine, UserError, load_yaml
from seedbed.recipes import Lock
from seedbed.stages import suite
from seedbed.stages.compose import compose_all

ROOT = Path(__file__).parents[2]
PARAMS = """# what runs, on what
fetch:
  docstrings: {}  # the default

preprocess:
  docstrings: {source: docstrings}
tokenize:
  docstrings-wordpiece8k: {corpus: docstrings}
pretrain:
  electra_tiny: {tokens: docstrings-wordpiece8k}
  gpt2_tiny: {tokens: docstrings-wordpiece8k}

# 미세 조정
finetune:
  electra_tiny-topics: {recipe: topics, backbone: electra_tiny, corpus: docstrings}

forecast: {}
evaluate: default
tune: {}
set: {}
"""
SUITES = sorted(path.stem for path in (ROOT / "conf/suite").glob("*.yaml"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "name", [name if name == "english_ner" else pytest.param(name, marks=pytest.mark.slow) for name in SUITES]
)
def test_a_suites_runs_compose_and_are_added_once(
    name: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (root / "params.yaml").read_text(encoding="utf-8")
    suite.run(root, Machine(), [name, "electra_tiny"])
    after = (root / "params.yaml").read_text(encoding="utf-8")
    kept = [line for line in after.split("\n") if line in before.split("\n")]
    assert kept == before.split("\n"), "every line stays, in its order"
    lock = Lock.check(compose_all(root), "params.yaml")
    benchmarks = yaml.safe_load((root / f"conf/suite/{name}.yaml").read_text())["benchmarks"]
    for benchmark, told in benchmarks.items():
        recipe = lock.finetune[f"electra_tiny-{benchmark}"]
        assert (recipe.corpus, recipe.max_steps) == (told["corpus"], told["max_steps"])
        assert recipe.corpus in lock.preprocess
    suite.run(root, Machine(), [name, "electra_tiny"])
    assert (root / "params.yaml").read_text(encoding="utf-8") == after
    assert "0 runs into params.yaml" in capsys.readouterr().out


def test_a_baseline_is_a_run_of_its_own(root: Path) -> None:
    suite.run(root, Machine(), ["english_ner", "electra_tiny", "recipe=benchmark_window"])
    suite.run(root, Machine(), ["english_ner", "electra_tiny"])
    runs = load_yaml(root / "params.yaml")["finetune"]
    assert runs["electra_tiny-gum_ner-window"]["recipe"] == "benchmark_window"
    assert runs["electra_tiny-gum_ner"] == runs["electra_tiny-gum_ner-window"] | {"recipe": "benchmark"}


def test_what_a_baseline_cannot_answer_is_left_out_and_told(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmarks = {
        name: {"source": name, "corpus": name, "task": name, "max_steps": 2, "warmup_steps": 0}
        for name in ("cola", "stsb")
    }
    (root / "conf/suite/two.yaml").write_text(yaml.safe_dump({"benchmarks": benchmarks}))
    suite.run(root, Machine(), ["two", "electra_tiny", "recipe=benchmark_tfidf"])
    told = capsys.readouterr().out
    assert "two: left out: benchmark_tfidf on stsb" in told and "task regression asks more" in told
    runs = load_yaml(root / "params.yaml")["finetune"]
    assert "electra_tiny-cola-tfidf" in runs and not any("stsb" in run for run in runs)
    with pytest.raises(UserError, match="task token_classification asks more"):
        suite.run(root, Machine(), ["english_ner", "electra_tiny", "recipe=benchmark_tfidf"])


def test_arms_and_values_go_onto_every_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recipe=[benchmark,benchmark_scratch,benchmark_window]", "benchmarks=[gum_ner,wikigold]"]
    words += ["most_steps=120", "optimizer.learning_rate=1e-3", "seeds=[1,2]", "selection=best"]
    suite.run(root, Machine(), ["english_ner", "electra_tiny", *words])
    arms = ("", "-scratch", "-window")
    found = load_yaml(root / "params.yaml")["finetune"]
    assert set(found) == {"electra_tiny-topics"} | {
        f"electra_tiny-{name}{arm}" for name in ("gum_ner", "wikigold") for arm in arms
    }
    lock = Lock.check(compose_all(root), "params.yaml")
    for arm in arms:
        # gum_ner is cut with its warm-up, 22 of 223 steps; wikigold is shorter as it is
        gum, wiki = (lock.finetune[f"electra_tiny-{name}{arm}"] for name in ("gum_ner", "wikigold"))
        assert (gum.max_steps, gum.schedule.warmup_steps) == (120, 11)
        assert (wiki.max_steps, wiki.schedule.warmup_steps) == (113, 11)
        assert gum.optimizer.learning_rate == 1e-3 and gum.seeds == (1, 2) and gum.selection is not None
    suite.run(root, Machine(), ["english_ner", "electra_tiny", "benchmarks=[wikigold]", "max_steps=5"])
    assert "stay as they are: electra_tiny-wikigold\n" in capsys.readouterr().out
    assert load_yaml(root / "params.yaml")["finetune"] == found


def test_what_has_no_chance_keeps_one_seed(root: Path) -> None:
    words = ["recipe=[benchmark,benchmark_tfidf]", "benchmarks=[cola]", "seeds=[1,2]"]
    suite.run(root, Machine(), ["glue", "electra_tiny", *words])
    runs = load_yaml(root / "params.yaml")["finetune"]
    assert runs["electra_tiny-cola"]["seeds"] == [1, 2] and "seeds" not in runs["electra_tiny-cola-tfidf"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["glue"], "which suite, on which backbone"),
        (["glu", "electra_tiny"], "no conf/suite/glu.yaml; known: english_ner, glue"),
        (
            ["glue", "bert_tiny"],
            "suite glue: no pretrain run makes 'bert_tiny'; known: electra_tiny, gpt2_tiny; add",
        ),
        (
            ["glue", "gpt2_tiny", "benchmarks=[cola]"],
            "benchmark on cola: gpt2_tiny is a decoder, classifier encoder",
        ),
        (["glue", "electra_tiny", "colour=red"], "colour: unknown key"),
        (["glue", "electra_tiny", "most_steps=0"], "suite glue.most_steps: input should be greater"),
        (["glue", "electra_tiny", "benchmarks=[cola,nsmc]"], "'nsmc' is none of sst2, cola"),
        (["glue", "electra_tiny", "recipe=benchmark_svm"], "no recipe conf/finetune/benchmark_svm.yaml"),
    ],
)
def test_faults_are_told_in_a_line(arguments: list[str], told: str, root: Path) -> None:
    with pytest.raises(UserError, match=told):
        suite.run(root, Machine(), arguments)
    assert (root / "params.yaml").read_text(encoding="utf-8") == PARAMS


def test_lines_go_to_the_end_of_their_block() -> None:
    text = "# head\nfetch:\n  a: {}  # first\n\n# about preprocess\npreprocess:\n  b: {}\nset: {}\n"
    found = suite.inserted(text, "fetch", ["c: {}"])
    assert (
        found
        == "# head\nfetch:\n  a: {}  # first\n  c: {}\n\n# about preprocess\npreprocess:\n  b: {}\nset: {}\n"
    )
    empty = suite.inserted("fetch: {}  # none yet\nset: {}\n", "fetch", ["c: {}"])
    assert empty == "fetch:\n  c: {}\nset: {}\n"
    deep = suite.inserted("fetch:\n  # four blanks\n    a: {}\nset: {}\n", "fetch", ["c: {}"])
    assert deep == "fetch:\n  # four blanks\n    a: {}\n    c: {}\nset: {}\n"
    with pytest.raises(UserError, match="no block 'finetune'"):
        suite.inserted(text, "finetune", ["x: {}"])
