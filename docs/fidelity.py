"""Writes docs/fidelity.md: where we differ from the published systems, from the entries beside the code.

python -m docs.fidelity           write it (make docs)
python -m docs.fidelity --check   fail when it is out of date (make check)
"""

import re
import sys
from functools import cache
from pathlib import Path

from docs.generated import write_or_check
from docs.reference import reachable
from seedbed.fidelity import Deviation
from seedbed.recipes import Lock, flatten
from seedbed.stages.compose import compose_run

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("fidelity.md")
HEAD = """# Fidelity: where we differ from the published systems

Made by `make docs`; do not edit. The entries stand beside the code they describe, in the `DEVIATIONS` of its
module. What is not listed is meant to be as published, and is a fault if it is not. Networks are not listed:
every family gives the logits and gradients of transformers' class on the same weights
(`tests/models/test_reference.py`, `tests/models/test_decoder.py`), and ELMo, which has none there, the layers
of torch's LSTMs (`tests/models/test_elmo.py`).
"""
RECIPES = """## Recipes

Every file of `conf/pretrain/`, with the sources it names. Where one is a variant, or a published system made
small, the table has every value that differs from the one it is held against.
"""
NOT_COMPARED = ("tokens", "log_every", "validate_every", "max_valid_rows")


def collected() -> dict[str, list[tuple[str, Deviation]]]:
    """Every entry with its module, by system: of each module that holds a class of the configuration."""
    found: dict[str, list[tuple[str, Deviation]]] = {}
    modules = {part.__module__ for model in reachable(Lock) for part in model.__mro__}
    for name in sorted(modules):
        for entry in getattr(sys.modules[name], "DEVIATIONS", ()):
            found.setdefault(entry.system, []).append((name, entry))
    return dict(sorted(found.items()))


def section(system: str, entries: list[tuple[str, Deviation]]) -> str:
    rows = ["| published | here | why | source | code |", "| --- | --- | --- | --- | --- |"]
    for module, entry in entries:
        path = f"src/{module.replace('.', '/')}.py"
        cells = [entry.theirs, entry.ours, entry.why, entry.source, f"[{path.rpartition('/')[2]}](../{path})"]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return f"## {system}\n\n" + "\n".join(rows) + "\n"


def recipes() -> list[str]:
    return sorted(path.stem for path in (ROOT / "conf" / "pretrain").glob("*.yaml") if path.stem[0] != "_")


def held_against(name: str, known: list[str]) -> str | None:
    """The published recipe of a variant (`x-y` of `x`) or of a tiny version; None for a published one."""
    if "-" in name:
        return name.partition("-")[0]
    family = name.removesuffix("_tiny")
    if family == name:
        return None
    others = [one for one in known if one == family or one.startswith(f"{family}_")]
    others = [one for one in others if not one.endswith("_tiny") and "-" not in one]
    published = [f"{family}_{size}" for size in ("small", "base", "medium")]
    return next((one for one in published if one in others), others[0] if len(others) == 1 else None)


@cache
def composed(name: str) -> dict[str, str]:
    """The flat values of a recipe."""
    return flatten(compose_run(ROOT, "pretrain", name, {"tokens": "any"}, {}))


def comment(name: str) -> str:
    """What the file says about itself: the comment at its head."""
    lines = (ROOT / "conf" / "pretrain" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ") for line in lines[:first])


def recipe(name: str, known: list[str]) -> str:
    text = f"### {name}\n\n{comment(name)}\n"
    other = held_against(name, known)
    if other is None:
        return text
    ours, theirs = composed(name), composed(other)
    rows = [f"| | {other} | {name} |", "| --- | --- | --- |"]
    for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key) and key not in NOT_COMPARED:
            rows.append(f"| `{key}` | {theirs.get(key, '')} | {ours.get(key, '')} |")
    return text + "\n" + "\n".join(rows) + "\n"


def page() -> str:
    known = recipes()
    parts = [HEAD, *(section(system, entries) for system, entries in collected().items())]
    parts += [RECIPES, *(recipe(name, known) for name in known)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def main(arguments: list[str]) -> int:
    return write_or_check(PAGE, page(), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
