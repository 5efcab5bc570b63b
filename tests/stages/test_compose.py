"""compose: params.yaml and conf/ become one lock; its digest covers exactly what was read."""

import sys
from pathlib import Path
from typing import Any

import pytest

from seedbed.config import UserError
from seedbed.recipes import LOCK, Lock, digest, load_lock
from seedbed.stages import compose
from tests.stages.table import REPOSITORY, edit


def test_the_committed_lock_is_what_compose_makes(project: Path) -> None:
    compose.run(project)
    assert (project / LOCK).read_text() == (REPOSITORY / LOCK).read_text(), (
        "run `seedbed compose`, commit the lock"
    )


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
