"""The evaluate recipe: which pairs it means, and how it answers mistakes."""

from pathlib import Path

import pytest

from seedbed.config import UserError, load_yaml
from seedbed.evaluation import EvaluateRecipe, Pair, matching

RUNS = ["electra-topics", "roberta-topics", "scratch-topics"]


def test_the_default_recipe_is_valid():
    path = Path(__file__).parents[2] / "conf/evaluate/default.yaml"
    recipe = EvaluateRecipe.parse(load_yaml(path), "conf/evaluate/default.yaml")
    assert recipe.confidence == 0.95 and recipe.finetune and recipe.forecast
    assert EvaluateRecipe.parse({}, "x").beside == recipe.beside, "the same baselines where nobody names any"


def test_patterns_match_every_pair_but_oneself():
    assert matching(Pair(a="*", b="scratch*"), RUNS, "x") == [
        ("electra-topics", "scratch-topics"),
        ("roberta-topics", "scratch-topics"),
    ]
    assert matching(Pair(a="gpt*", b="scratch*"), RUNS, "x") == []


def test_a_plain_name_must_exist():
    with pytest.raises(UserError, match=r"evaluate.finetune.0.b: no run scratch; known: electra-topics, "):
        matching(Pair(a="electra*", b="scratch"), RUNS, "evaluate.finetune.0")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"resample": 5}, "evaluate.resample: unknown key"),
        ({"confidence": 1.0}, "evaluate.confidence: input should be less than 1"),
        ({"finetune": [{"a": "x", "b": "y", "metric": "rouge"}]}, r"evaluate.finetune.0.metric: "),
        ({"equivalence": {"accuracy": -1}}, r"evaluate.equivalence.accuracy: "),
    ],
)
def test_mistakes_are_one_line(value, message):
    with pytest.raises(UserError, match=message) as caught:
        EvaluateRecipe.parse(value, "evaluate")
    assert "\n" not in str(caught.value)
