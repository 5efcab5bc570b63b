"""compose: single values and whole components, set in params.yaml and on the command line."""

from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.recipes import Lock, load_lock
from seedbed.stages import compose
from seedbed.training.averaging import EMAConfig
from tests.stages.table import REPOSITORY, edit


def overridden(project: Path, verb: str, run: str, words: list[str]) -> Lock:
    compose.run(project)
    return compose.compose_with_overrides(project, load_lock(project), verb, run, words)


def test_single_values_and_whole_components_can_be_set(project: Path) -> None:
    edit(
        project,
        {
            "set": {
                "pretrain": {
                    "electra_tiny": {
                        "optimizer": {"learning_rate": 0.125},
                        "encoder": "electra_small",
                        "schedule": "constant",
                    }
                }
            }
        },
    )
    compose.run(project)
    lock = load_lock(project)
    assert lock.pretrain["electra_tiny"].optimizer.learning_rate == 0.125
    assert lock.pretrain["electra_tiny"].encoder.hidden_size == 256
    assert lock.pretrain["electra_tiny"].schedule.name == "constant"
    assert lock.pretrain["roberta_tiny"].optimizer.learning_rate != 0.125


def test_a_warmup_and_a_layer_decay_can_be_switched_on(project: Path) -> None:
    settings = {
        "optimizer": "muon",
        "optimizer.layer_decay": {"rate": 0.8},
        "schedule": "cosine",
        "schedule.warmup": "flat",
        "schedule.warmup_steps": 7,
    }
    edit(project, {"set": {"finetune": {"electra_tiny-topics": settings}}})
    compose.run(project)
    found = load_lock(project).finetune["electra_tiny-topics"]
    assert (found.optimizer.name, found.schedule.name) == ("muon", "cosine")
    assert found.optimizer.layer_decay is not None and found.optimizer.layer_decay.rate == 0.8
    assert (found.schedule.warmup.name, found.schedule.warmup_steps) == ("flat", 7)


def test_ways_of_fine_tuning_can_be_switched_on_by_name(project: Path) -> None:
    compose.run(project)
    words = [
        "validate_every=50", "selection=best", "unfreezing=head_first", "schedule=slanted_triangular",
        "separate_seeds=paired", "classifier.reinitialise=top_layers", "classifier.mixout=mixout",
    ]  # fmt: skip
    lock = overridden(project, "finetune", "electra_tiny-topics", words)
    found = lock.finetune["electra_tiny-topics"]
    places = (found.selection, found.unfreezing, found.schedule, found.separate_seeds)
    chosen = [place.name if place else None for place in places]
    assert chosen == ["best", "head_first", "slanted_triangular", "paired"]
    assert found.classifier.name == "encoder" and found.classifier.mixout is not None
    assert found.classifier.reinitialise is not None
    # the task's file leaves its class_weights out
    for weights in ("balanced", "{name: balanced}"):
        words = ["classifier.adapter=lora", f"task.class_weights={weights}"]
        found = overridden(project, "finetune", "electra_tiny-topics", words).finetune["electra_tiny-topics"]
        assert found.classifier.name == "encoder" and found.classifier.adapter is not None
        assert found.task.name == "topics" and found.task.class_weights is not None


def test_a_value_that_bears_a_groups_name_stays_a_value() -> None:
    """conf/unit/ holds an objective's parts; a task's `unit`, which its file leaves out, is a word."""
    links = {"backbone": "any", "corpus": "any", "task": "entities"}
    made = compose.compose_run(REPOSITORY, "finetune", "benchmark", links, {"task.unit": "character"})
    assert made["task"]["unit"] == "character"


def test_korean_on_the_command_line(project: Path) -> None:
    compose.run(project)
    run = ("finetune", "electra_tiny-topics")
    with pytest.raises(UserError, match=r"not key=value.*quote what is not ASCII"):
        overridden(project, *run, ["task.placeholder=값"])
    found = overridden(project, *run, ['task.placeholder="값"']).finetune[run[1]]
    assert found.task.name == "topics" and found.task.placeholder == "값"


def test_the_command_line_composes_the_same(project: Path) -> None:
    compose.run(project)
    plain = load_lock(project)
    assert overridden(project, "pretrain", "electra_tiny", []) == plain
    changed = overridden(
        project,
        "pretrain",
        "electra_tiny",
        ["optimizer.learning_rate=1e-3", "encoder=electra_small", "seed=9"],
    )
    recipe = changed.pretrain["electra_tiny"]
    assert (recipe.optimizer.learning_rate, recipe.encoder.hidden_size, recipe.seed) == (1e-3, 256, 9)
    edit(
        project,
        {
            "set": {
                "pretrain": {
                    "electra_tiny": {
                        "optimizer": {"learning_rate": 1e-3},
                        "encoder": "electra_small",
                        "seed": 9,
                    }
                }
            }
        },
    )
    compose.run(project)
    assert load_lock(project).pretrain == changed.pretrain


def test_an_override_that_is_no_value_is_told(project: Path) -> None:
    for text in ("seed", "~seed", "seed=1,2", "seed=[1", "optimizer@x=y"):
        with pytest.raises(UserError, match="pretrain electra_tiny"):
            overridden(project, "pretrain", "electra_tiny", [text])


def test_a_component_is_replaced_before_a_value_inside_it_is_set(project: Path) -> None:
    overrides = ["encoder.num_layers=3", "encoder=electra_small", "schedule=constant"]
    recipe = overridden(project, "pretrain", "electra_tiny", overrides)
    assert recipe.pretrain["electra_tiny"].encoder.num_layers == 3
    assert recipe.pretrain["electra_tiny"].encoder.hidden_size == 256
    assert recipe.pretrain["electra_tiny"].schedule.name == "constant"


def test_a_component_can_be_put_where_the_recipe_has_none(project: Path) -> None:
    overrides = ["averaging=ema", "averaging.decay=0.5"]
    recipe = overridden(project, "pretrain", "electra_tiny", overrides)
    assert recipe.pretrain["electra_tiny"].averaging == EMAConfig(name="ema", decay=0.5, warmup=True)
    with pytest.raises(UserError, match=r"averaging: no file conf/averaging/mean\.yaml; known: ema, last_n"):
        overridden(project, "pretrain", "electra_tiny", ["averaging=mean"])
