"""The search space's grammar and meaning, against Hydra's own parser; settings put into recipes."""

from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from seedbed.config import UserError
from seedbed.tuning import TuneRecipe
from seedbed.tuning.outcome import apply, best_yaml, without_test_split
from seedbed.tuning.space import Choice, Interval, Range, parse_dimension

GOOD = {
    "choice(16, 32, 64)": Choice((16, 32, 64)),
    "choice(adam, 'a, b', true, 0.5)": Choice(("adam", "a, b", True, 0.5)),
    "interval(0, 0.3)": Interval(0, 0.3),
    "int(interval(1, 8))": Interval(1, 8, integer=True),
    "tag(log, interval(1e-4, 3e-3))": Interval(1e-4, 3e-3, log=True),
    "tag(log, int(interval(1, 64)))": Interval(1, 64, integer=True, log=True),
    "range(2, 9, 3)": Range(2, 9, 3),
    "range(4)": Range(0, 4, 1),
    "range(0.1, 0.5, 0.1)": Range(0.1, 0.5, 0.1),
}


STUDY = {
    "finetune": "a-b",
    "search_space": {"x.y": "interval(0, 1)"},
    "num_trials": 1,
    "seed": 0,
    "direction": "maximize",
}


@pytest.mark.parametrize("text", GOOD)
def test_expressions_mean_what_they_say(text: str) -> None:
    assert parse_dimension(text) == GOOD[text]
    if "'" not in text:
        assert parse_dimension(text.replace(" ", "")) == parse_dimension(text.replace(",", " , "))


@pytest.mark.parametrize("text", GOOD)
def test_hydra_reads_them_as_sweeps_too(text: str) -> None:
    override = OverridesParser.create().parse_override(f"key={text}")
    assert override.is_sweep_override()
    if text.startswith("range"):
        ours = GOOD[text]
        assert isinstance(ours, Range)
        values = [float(v) for v in override.sweep_iterator()]
        assert values[0] == ours.start and values[-1] == pytest.approx(ours.last)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "16",
        "choice(16)",
        "choice(16, 16)",
        "choice(16, 32",
        "choice(16 32)",
        "choice(16,)",
        "interval(2, 1)",
        "interval(a, 1)",
        "interval(0, inf)",
        "tag(log, interval(0, 1))",
        "tag(log, choice(1, 2))",
        "tag(sqrt, interval(1, 2))",
        "int(interval(0.5, 2))",
        "range(3, 3)",
        "range(0, 4, 0)",
        "glob(*)",
        "__import__('os')",
        "interval(0, 1) interval(0, 1)",
        "interval(0, 1))",
        "choice('a)",
    ],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        TuneRecipe.parse({**STUDY, "search_space": {"lr": text}}, "tune.x")
    assert "tune.x.search_space" in str(caught.value) and "\n" not in str(caught.value)


def test_only_the_valid_split_may_choose() -> None:
    with pytest.raises(UserError, match="metric"):
        TuneRecipe.parse({**STUDY, "metric": "test/accuracy"}, "tune.x")


def test_a_study_says_whether_more_or_less_is_better() -> None:
    for metric in ("valid/loss", "valid/perplexity"):
        with pytest.raises(UserError, match=f"metric {metric} is the better the smaller; say direction: min"):
            TuneRecipe.parse({**STUDY, "metric": metric}, "tune.x")
    with pytest.raises(UserError, match="direction"):
        TuneRecipe.parse({k: v for k, v in STUDY.items() if k != "direction"}, "tune.x")


def test_settings_go_to_their_dotted_place() -> None:
    tree = {"optimizer": {"learning_rate": 1.0, "name": "adam"}, "seed": 1}
    assert apply({"optimizer.learning_rate": 2.0, "seed": 3}, tree, "t") == {
        "optimizer": {"learning_rate": 2.0, "name": "adam"},
        "seed": 3,
    }
    with pytest.raises(UserError, match="no part optimiser; known: optimizer, seed"):
        apply({"optimiser.learning_rate": 2.0}, tree, "t")


def test_best_yaml_is_a_conf_file() -> None:
    text = best_yaml(
        TuneRecipe.parse(STUDY, "tune.s"), {"x.y": 0.5, "z": "한글"}, parent="b", source="Trial 3 of 4."
    )
    assert yaml.safe_load(text) == {"defaults": ["b", "_self_"], "x": {"y": 0.5}, "z": "한글"}
    assert text.startswith("# Trial 3 of 4.\n")


def test_views_lack_the_test_files_only(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("train.jsonl", "valid.jsonl", "test.jsonl", "test.jsonl.gz", "testament.txt"):
        (corpus / name).write_text(name)
    views = without_test_split({"preprocess/c": corpus}, tmp_path / "views")
    view = views["preprocess/c"]
    assert sorted(p.name for p in view.iterdir()) == ["testament.txt", "train.jsonl", "valid.jsonl"]
    assert (view / "train.jsonl").read_text() == "train.jsonl"
    assert without_test_split({"preprocess/c": corpus}, tmp_path / "views") == views
