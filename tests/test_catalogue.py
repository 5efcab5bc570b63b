"""Names what a newcomer forgot (catalogue line, conf yaml, test), with the line to write."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "seedbed"


@dataclass(frozen=True)
class Component:
    """A class whose `name: Literal["x"]` lets a file choose it."""

    module: str  # "objectives.masked_lm"
    class_name: str
    tag: str

    @property
    def room(self) -> str:
        return self.module.split(".")[0]

    @property
    def stem(self) -> str:
        return self.module.split(".")[-1]


def components_in(source: str, module: str) -> list[Component]:
    """Read from the text, so that a component that nothing imports is found too."""
    found = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for line in node.body:
            if (
                isinstance(line, ast.AnnAssign)
                and isinstance(line.target, ast.Name)
                and line.target.id == "name"
                and isinstance(line.annotation, ast.Subscript)
                and ast.unparse(line.annotation.value).endswith("Literal")
            ):
                found.append(Component(module, node.name, ast.literal_eval(line.annotation.slice)))
    return found


def all_components() -> list[Component]:
    return [
        component
        for path in sorted(PACKAGE.rglob("*.py"))
        for component in components_in(
            path.read_text(encoding="utf-8"), ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        )
    ]


def names_in(value: Any) -> Iterator[str]:
    """Every `name: x` at any depth of a YAML file."""
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            yield value["name"]
        for inner in value.values():
            yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def what_is_missing(
    component: Component, *, catalogued: set[str], configured: set[str], tests: dict[str, str]
) -> list[str]:
    """One line for each thing forgotten: what, and the line to write."""
    missing = []
    qualified = f"seedbed.{component.module}.{component.class_name}"
    if not component.class_name.endswith("Config"):
        missing.append(f"{qualified}: a component's class is called ...Config; rename it")
    if qualified not in catalogued:
        missing.append(
            f"{qualified}: no recipe can name it; in src/seedbed/{component.room}/__init__.py write\n"
            f"    from seedbed.{component.module} import {component.class_name}\n"
            f"and put `| {component.class_name}` into the catalogue's union"
        )
    if component.tag not in configured:
        missing.append(
            f"{qualified}: no file in conf/ chooses it; "
            f"write conf/<group>/{component.tag}.yaml with the line\n"
            f"    name: {component.tag}"
        )
    mentions = (f"seedbed.{component.module} import", component.class_name)
    room = f"{component.room}/"
    if not any(path.startswith(room) and any(m in text for m in mentions) for path, text in tests.items()):
        missing.append(
            f"{qualified}: no test; write tests/{component.room}/test_{component.stem}.py with the line\n"
            f"    from seedbed.{component.module} import {component.class_name}"
        )
    return missing


def test_every_component_is_catalogued_configured_and_tested() -> None:
    from docs.reference import reachable
    from seedbed.recipes import Lock

    catalogued = {f"{model.__module__}.{model.__name__}" for model in reachable(Lock)}
    configured = {
        name
        for path in sorted((ROOT / "conf").rglob("*.yaml"))
        for name in names_in(yaml.safe_load(path.read_text(encoding="utf-8")))
    }
    tests = {
        path.relative_to(ROOT / "tests").as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "tests").rglob("*.py"))
    }
    components = all_components()
    assert components, "no component found at all: the search itself is broken"
    missing = [
        line
        for component in components
        for line in what_is_missing(component, catalogued=catalogued, configured=configured, tests=tests)
    ]
    assert not missing, "\n\n" + "\n\n".join(missing)


def test_a_name_chooses_one_component_within_a_room() -> None:
    seen: dict[tuple[str, str], Component] = {}
    for component in all_components():
        other = seen.setdefault((component.room, component.tag), component)
        assert other == component, (
            f"{component.room}: both {other} and {component} are called {component.tag}"
        )


NEWCOMER = """
class ShoutedLMConfig(Strict):
    name: Literal["shouted_lm"]
    loudness: float
"""


@pytest.mark.parametrize(
    ("done", "forgotten"),
    [
        ({"configured", "tests"}, "put `| ShoutedLMConfig` into the catalogue's union"),
        ({"catalogued", "tests"}, "    name: shouted_lm"),
        ({"catalogued", "configured"}, "    from seedbed.objectives.shouted_lm import ShoutedLMConfig"),
    ],
)
def test_what_was_forgotten_is_named_with_the_line_to_write(done: set[str], forgotten: str) -> None:
    [component] = components_in(NEWCOMER, "objectives.shouted_lm")
    [line] = what_is_missing(
        component,
        catalogued={"seedbed.objectives.shouted_lm.ShoutedLMConfig"} if "catalogued" in done else set(),
        configured={"shouted_lm"} if "configured" in done else set(),
        tests={"objectives/test_shouted_lm.py": "ShoutedLMConfig"} if "tests" in done else {},
    )
    assert forgotten in line
