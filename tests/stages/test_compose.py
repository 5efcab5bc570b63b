"""compose: params.yaml and conf/ become one lock; its digest covers exactly what was read."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from seedbed.config import UserError
from seedbed.recipes import LOCK, Lock, digest, load_lock
from seedbed.stages import compose
from seedbed.training.averaging import EMAConfig

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(REPOSITORY / "conf", tmp_path / "conf")
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    return tmp_path


def edit(project: Path, change: dict[str, Any]) -> None:
    """Merge `change` into params.yaml, two levels deep."""
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    for key, value in change.items():
        params[key] = {**(params.get(key) or {}), **value} if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(params))


def test_the_committed_lock_is_what_compose_makes(project: Path) -> None:
    compose.run(project)
    assert (project / LOCK).read_text() == (REPOSITORY / LOCK).read_text(), (
        "run `seedbed compose`, commit the lock"
    )


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
    lock = compose.compose_with_overrides(project, "finetune", "electra_tiny-topics", words)
    found = lock.finetune["electra_tiny-topics"]
    places = (found.selection, found.unfreezing, found.schedule, found.separate_seeds)
    chosen = [place.name if place else None for place in places]
    assert chosen == ["best", "head_first", "slanted_triangular", "paired"]
    assert found.classifier.name == "encoder" and found.classifier.mixout is not None
    assert found.classifier.reinitialise is not None
    # the task's file leaves its class_weights out
    for weights in ("balanced", "{name: balanced}"):
        words = ["classifier.adapter=lora", f"task.class_weights={weights}"]
        found = compose.compose_with_overrides(project, "finetune", "electra_tiny-topics", words).finetune[
            "electra_tiny-topics"
        ]
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
        compose.compose_with_overrides(project, *run, ["task.placeholder=값"])
    found = compose.compose_with_overrides(project, *run, ['task.placeholder="값"']).finetune[run[1]]
    assert found.task.name == "topics" and found.task.placeholder == "값"


def test_the_command_line_composes_the_same(project: Path) -> None:
    compose.run(project)
    plain = load_lock(project)
    assert compose.compose_with_overrides(project, "pretrain", "electra_tiny", []) == plain
    changed = compose.compose_with_overrides(
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


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"pretrian": {}}, r"params\.yaml: pretrian: unknown key; known keys: fetch, "),
        (
            {"pretrain": {"gpt_tiny": {"tokens": "x"}}},
            r"pretrain\.gpt_tiny: no recipe conf/pretrain/gpt_tiny\.yaml",
        ),
        (
            {"pretrain": {"electra_tiny": {"tokens": "docstring"}}},
            r"pretrain\.electra_tiny\.tokens: no tokenize run makes 'docstring'; known: .*docstrings-wordpiece8k",
        ),
        (
            {"finetune": {"a-b": {"recipe": "topics", "backbone": "bert", "corpus": "docstrings"}}},
            r"finetune\.a-b\.backbone: no pretrain run makes 'bert'; known: electra_tiny, roberta_tiny",
        ),
        (
            {
                "pretrain": {"gpt2_tiny": {"tokens": "docstrings-bpe8k"}},
                "finetune": {"a-b": {"recipe": "topics", "backbone": "gpt2_tiny", "corpus": "docstrings"}},
            },
            r"finetune\.a-b\.backbone: gpt2_tiny is a decoder, classifier encoder takes an encoder; choose one of "
            "electra_tiny, roberta_tiny",
        ),
        (
            {"set": {"pretrain": {"electra_tiny": {"objective": "causal_lm"}}}},
            r"pretrain\.electra_tiny: .*objective causal_lm trains one decoder, given are encoder; give decoder",
        ),
        (
            {"set": {"pretrain": {"electra_tiny": {"start": {"checkpoint": "electra"}}}}},
            r"pretrain\.electra_tiny\.start: no pretrain run makes 'electra'; known: electra_tiny",
        ),
        (
            {
                "set": {
                    "pretrain": {
                        "electra_tiny": {"start": {"checkpoint": "roberta_tiny"}},
                        "roberta_tiny": {"start": {"checkpoint": "electra_tiny"}},
                    }
                }
            },
            r"pretrain\.electra_tiny\.start: the run would begin with its own result",
        ),
        ({"pretrain": {"electra_tiny": {}}}, r"pretrain\.electra_tiny\.tokens: unset \(\?\?\?\)"),
        (
            {"set": {"pretrain": {"electra": {"seed": 1}}}},
            r"set\.pretrain\.electra: no such run; known: electra_tiny",
        ),
        (
            {"set": {"pretrain": {"electra_tiny": {"max_step": 1}}}},
            r"pretrain\.electra_tiny\.max_step: unknown key; known keys: .*max_steps",
        ),
        (
            {"set": {"pretrain": {"electra_tiny": {"max_steps": "many"}}}},
            r"pretrain\.electra_tiny\.max_steps: input should be a valid integer, got 'many'",
        ),
        (
            {"set": {"pretrain": {"electra_tiny": {"encoder": "electra_tyni"}}}},
            r"pretrain\.electra_tiny\.encoder: no file conf/encoder/electra_tyni\.yaml; known: .*electra_tiny",
        ),
        (
            {"set": {"pretrain": {"electra_tiny": {"objective": {"name": "os.system"}}}}},
            r"pretrain\.electra_tiny\.objective: .*'masked_lm'.*got",
        ),
        (
            {"pretrain": {"Electra Tiny": {"recipe": "electra_tiny", "tokens": "x"}}},
            "a run's name is lower-case",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    project: Path, change: dict[str, Any], line: str
) -> None:
    edit(project, change)
    with pytest.raises(UserError, match=line) as caught:
        compose.run(project)
    assert "\n" not in str(caught.value)
    assert not (project / LOCK).exists()


def test_a_foreign_folder_stands_where_a_run_does(project: Path) -> None:
    """As a path from models/pretrain, which DVC joins alike."""
    folder = "../../checkpoints/theirs"
    continued = {"recipe": "continued_masked_lm", "tokens": "docstrings-wordpiece8k"}
    edit(
        project,
        {
            "pretrain": {"theirs-docstrings": {**continued, "start": {"checkpoint": folder}}},
            "finetune": {"theirs-topics": {"recipe": "topics", "backbone": folder, "corpus": "docstrings"}},
        },
    )
    compose.run(project)
    found = load_lock(project)
    start = found.pretrain["theirs-docstrings"].start
    assert start is not None and start.folders == [folder] == [found.finetune["theirs-topics"].backbone]


def test_tfidf_takes_the_tokenizer_beside_a_decoder(project: Path) -> None:
    edit(
        project,
        {
            "pretrain": {"gpt2_tiny": {"tokens": "docstrings-bpe8k"}},
            "finetune": {"a-b": {"recipe": "topics_tfidf", "backbone": "gpt2_tiny", "corpus": "docstrings"}},
        },
    )
    compose.run(project)
    assert load_lock(project).pretrain["gpt2_tiny"].encoder is None


def test_an_override_that_is_no_value_is_told(project: Path) -> None:
    for text in ("seed", "~seed", "seed=1,2", "seed=[1", "optimizer@x=y"):
        with pytest.raises(UserError, match="pretrain electra_tiny"):
            compose.compose_with_overrides(project, "pretrain", "electra_tiny", [text])


def test_a_component_is_replaced_before_a_value_inside_it_is_set(project: Path) -> None:
    overrides = ["encoder.num_layers=3", "encoder=electra_small", "schedule=constant"]
    recipe = compose.compose_with_overrides(project, "pretrain", "electra_tiny", overrides)
    assert recipe.pretrain["electra_tiny"].encoder.num_layers == 3
    assert recipe.pretrain["electra_tiny"].encoder.hidden_size == 256
    assert recipe.pretrain["electra_tiny"].schedule.name == "constant"


def test_a_component_can_be_put_where_the_recipe_has_none(project: Path) -> None:
    overrides = ["averaging=ema", "averaging.decay=0.5"]
    recipe = compose.compose_with_overrides(project, "pretrain", "electra_tiny", overrides)
    assert recipe.pretrain["electra_tiny"].averaging == EMAConfig(name="ema", decay=0.5, warmup=True)
    with pytest.raises(UserError, match=r"averaging: no file conf/averaging/mean\.yaml; known: ema, last_n"):
        compose.compose_with_overrides(project, "pretrain", "electra_tiny", ["averaging=mean"])


def test_a_configuration_cannot_name_code(project: Path) -> None:
    path = project / "conf/pretrain/electra_tiny.yaml"
    path.write_text(path.read_text() + "\n_target_: os.getcwd\n")
    with pytest.raises(UserError, match="_target_: unknown key"):
        compose.run(project)


def test_a_stale_lock_is_refused(project: Path) -> None:
    with pytest.raises(UserError, match="no lock file"):
        load_lock(project)
    compose.run(project)
    load_lock(project)
    path = project / "conf/optimizer/adamw.yaml"
    path.write_text(path.read_text().replace("0.01", "0.02"))
    with pytest.raises(UserError, match=r"params\.lock\.yaml: stale: .*dvc repro compose"):
        load_lock(project)


def test_the_digest_covers_exactly_what_compose_reads(project: Path) -> None:
    """Every file compose opens changes the digest; machine files and comments in params.yaml do not."""
    opened: set[str] = set()
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and str(arguments[0]).startswith(str(project)):
            opened.add(str(arguments[0]))

    sys.addaudithook(watch)
    compose.compose_all(project)
    watching = False
    before = digest(project)
    read = {Path(name).relative_to(project) for name in opened if Path(name).is_file()}
    assert Path("params.yaml") in read and Path("conf/encoder/electra_tiny.yaml") in read
    for name in sorted(read - {Path("params.yaml")}):
        path = project / name
        text = path.read_text()
        path.write_text(text + "# touched\n")
        assert digest(project) != before, name
        path.write_text(text)
    assert digest(project) == before
    params = project / "params.yaml"
    params.write_text(params.read_text() + "# a comment DVC does not see\n")
    machine = project / "conf/machine/local.yaml"
    machine.write_text(machine.read_text() + "# touched\n")
    assert digest(project) == before
    edit(project, {"tune": {}, "set": {"fetch": {}}})
    assert digest(project) != before


TRANSFERRED = {"recipe": "transfer-m1", "source": "m1", "model": "nbeats_small-m3"}


def of_m3(project: Path, transfer: dict[str, Any], **changed: Any) -> None:
    """M3 by N-BEATS, and what is transferred from it."""
    trained = {"source": "m3", **changed}
    edit(project, {"fetch": {"m1": {}, "m3": {}}, "forecast": {"nbeats_small-m3": trained}})
    edit(project, {"forecast": {"theta-m3": {"source": "m3"}}, "transfer": {"nbeats_m3-m1": transfer}})


def test_a_transfer_is_a_forecast_run_that_takes_anothers_members(project: Path) -> None:
    of_m3(project, TRANSFERRED)
    compose.run(project)
    lock = load_lock(project)
    assert lock.forecast["nbeats_m3-m1"].model == "nbeats_small-m3"
    assert ("forecast", "nbeats_m3-m1", "model", "forecast", "nbeats_small-m3") in lock.links()
    overridden = compose.compose_with_overrides(
        project, "forecast", "nbeats_m3-m1", ["panel.frequencies.monthly.horizon=6"]
    )
    assert overridden.forecast["nbeats_m3-m1"].panel.frequencies["monthly"].horizon == 6
    with pytest.raises(UserError, match="horizon 19 of monthly is longer than the 18 that was trained"):
        compose.compose_with_overrides(
            project, "forecast", "nbeats_m3-m1", ["panel.frequencies.monthly.horizon=19"]
        )


@pytest.mark.parametrize(
    ("transfer", "changed", "told"),
    [
        (
            {"model": "theta-m3"},
            {},
            "theta-m3 is a statistical, which keeps nothing that could be transferred",
        ),
        ({"model": "nbeats_m3-m1"}, {}, "nbeats_m3-m1 is a transfer, which keeps nothing"),
        ({"model": "nbeats-m9"}, {}, "no forecast run makes 'nbeats-m9'; known: "),
        ({"model": None}, {}, "transfer.nbeats_m3-m1: no model; name the forecast run"),
        ({"recipe": "theta-m3"}, {}, "forecaster transfer forecasts with the members of `model`"),
        (
            {},
            {"model": "theta-m3"},
            "forecast.nbeats_small-m3.model: a run with another's members stands under",
        ),
        (
            {"recipe": "transfer-m1", "panel": "m4"},
            {},
            "weekly (1i) matches no frequency of yearly (1i, horizon",
        ),
    ],
)
def test_what_cannot_be_transferred_is_refused(
    project: Path, transfer: dict[str, Any], changed: dict[str, Any], told: str
) -> None:
    of_m3(project, TRANSFERRED | transfer, **changed)
    with pytest.raises(UserError) as caught:
        compose.run(project)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_members_that_read_covariates_are_not_transferred(project: Path) -> None:
    transfer = {"recipe": "transfer-m1", "source": "classics", "model": "nbeats_generic-classics"}
    edit(project, {"transfer": {"nbeats-again": {**transfer, "panel": "classics"}}})
    compose.run(project)
    reads = {"forecaster": "nbeatsx_generic", "panel.covariates.calendar": ["month"]}
    edit(project, {"set": {"forecast": {"nbeats_generic-classics": reads}}})
    with pytest.raises(UserError, match=r"was trained with covariates .*month.*choose a run without"):
        compose.run(project)


def test_every_recipe_and_component_file_composes(project: Path) -> None:
    """Files that no run of the default uses are configurations too."""
    links = {"source": "s", "corpus": "c", "tokens": "t", "backbone": "b", "finetune": "f"}
    wanted = {
        "preprocess": ["source"],
        "tokenize": ["corpus"],
        "pretrain": ["tokens"],
        "finetune": ["backbone", "corpus"],
        "forecast": ["source"],
        "tune": ["finetune"],
    }
    for verb in ("fetch", *wanted):
        model = Lock.model_fields[verb].annotation.__args__[1]  # type: ignore[union-attr]
        for path in sorted((project / "conf" / verb).glob("*.yaml")):
            if not path.stem.startswith("_"):  # those others build on
                given = {key: links[key] for key in wanted.get(verb, [])}
                if path.stem.startswith("continued_"):  # they name no checkpoint
                    given["start.checkpoint"] = "c"
                if path.stem.startswith("transfer-"):  # they name no run
                    given["model"] = "m"
                model.parse(compose.compose_run(project, verb, path.stem, given, {}), str(path))
