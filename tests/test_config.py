"""One clear line for every wrong setting: where, what came, what is allowed."""

from pathlib import Path
from typing import Annotated, Literal, Self

import pytest
from pydantic import Field, model_validator

from seedbed.config import Machine, Strict, UserError, load_machine, load_yaml, rank_and_world


class Inner(Strict):
    name: Literal["inner"]
    rate: float = Field(gt=0)


class Other(Strict):
    name: Literal["other"]
    shares: tuple[int, ...] = ()


class Outer(Strict):
    part: Annotated[Inner | Other, Field(discriminator="name")]
    parts: dict[str, Inner] = {}
    size: int = 3


GOOD = {"part": {"name": "inner", "rate": 0.5}}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({**GOOD, "sise": 4}, "top.sise: unknown key; known keys: part, parts, size; remove or rename it"),
        (
            {"part": {"name": "inner", "rate": 0.5, "rat": 1}},
            "top.part.rat: unknown key; known keys: name, rate; remove or rename it",
        ),
        ({"part": {"name": "inner"}}, "top.part.rate: missing; give it a value in params.yaml or conf/"),
        ({**GOOD, "size": "4"}, "top.size: input should be a valid integer, got '4'"),
        ({**GOOD, "size": True}, "top.size: input should be a valid integer, got True"),
        ({"part": {"name": "inner", "rate": 0}}, "top.part.rate: input should be greater than 0, got 0"),
        (
            {**GOOD, "parts": {"a": {"name": "inner", "rate": 1.0, "x": 1}}},
            "top.parts.a.x: unknown key; known keys: name, rate; remove or rename it",
        ),
    ],
)
def test_faults_are_one_line(value: object, line: str) -> None:
    with pytest.raises(UserError) as caught:
        Outer.parse(value, "top")
    assert str(caught.value) == line


class Checked(Strict):
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ascend(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}; exchange them")
        return self


def test_a_check_of_our_own_says_it_all() -> None:
    with pytest.raises(UserError) as caught:
        Checked.parse({"low": 2}, "top")
    assert str(caught.value) == "top: low 2 is above high 1; exchange them"


def test_an_unknown_name_lists_what_the_catalogue_has() -> None:
    with pytest.raises(UserError, match=r"top\.part: .*'inner', 'other'.*got"):
        Outer.parse({"part": {"name": "os.system"}}, "top")


def test_more_faults_are_counted() -> None:
    with pytest.raises(UserError, match=r"\(and 1 more fault\)"):
        Outer.parse({**GOOD, "size": "x", "extra": 1}, "top")


def test_a_list_becomes_a_tuple_and_nothing_else_is_converted() -> None:
    assert Outer.parse({"part": {"name": "other", "shares": [1, 2]}}, "top").part.shares == (1, 2)


def test_yaml_that_is_missing_or_not_utf8_or_malformed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_yaml(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_bytes("이름: 값".encode("cp949"))
    with pytest.raises(UserError, match=r"bad\.yaml: not UTF-8 at byte 0"):
        load_yaml(bad)
    bad.write_text("a: [1\nb: 2")
    with pytest.raises(UserError, match=r"bad\.yaml line \d: not YAML"):
        load_yaml(bad)
    bad.write_text("a: !!python/object/apply:os.system ['true']")
    with pytest.raises(UserError, match="not YAML: could not determine a constructor"):
        load_yaml(bad)


def test_machine_files_are_chosen_by_name_or_path(tmp_path: Path) -> None:
    folder = tmp_path / "conf/machine"
    folder.mkdir(parents=True)
    (folder / "local.yaml").write_text("threads: 1")
    (tmp_path / "mine.yaml").write_text("devices: 4")
    assert load_machine(tmp_path, {}).threads == 1
    path = str(tmp_path / "mine.yaml")
    assert load_machine(tmp_path, {"SEEDBED_MACHINE": path}) == Machine(devices=4)
    with pytest.raises(UserError, match=r"SEEDBED_MACHINE=moon: no machine file .*choose one of local"):
        load_machine(tmp_path, {"SEEDBED_MACHINE": "moon"})


def test_rank_comes_from_the_launcher() -> None:
    assert rank_and_world({}) == (0, 1)
    assert rank_and_world({"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2"}) == (1, 2)
    assert rank_and_world({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}) == (3, 4)


def test_words_of_the_command_line_are_json_or_text() -> None:
    class Options(Strict):
        count: int = 1
        rate: float = 1.0
        name: str = "x"
        top: int | None = 3

    words = ["count=2", "rate=1e-3", "name=가 = 나", "top=null"]
    assert Options.parse_words(words, "verb") == Options(count=2, rate=1e-3, name="가 = 나", top=None)
    with pytest.raises(UserError, match="verb: 'loud' is no key=value; known keys: count, rate, name, top"):
        Options.parse_words(["loud"], "verb")
    with pytest.raises(UserError, match=r"verb\.count: input should be a valid integer, got 'two'"):
        Options.parse_words(["count=two"], "verb")
