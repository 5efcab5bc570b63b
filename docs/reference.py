"""Writes docs/reference.md, every key of the configuration, from the schemas themselves.

python -m docs.reference           write it (make docs)
python -m docs.reference --check   fail when it is out of date (make check)
"""

import re
import sys
from pathlib import Path
from types import NoneType
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.generated import write_or_check
from seedbed.config import Machine
from seedbed.recipes import Lock
from seedbed.stages.forecast_file import FileOptions
from seedbed.stages.generate import GenerateOptions
from seedbed.stages.plan import ProbeOptions
from seedbed.stages.score import ScoreOptions

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# Reference: every key

Made by `make docs` from the pydantic classes; do not edit. A key without a default must be given.
[configuration.md](configuration.md) says how the files fit together.
"""


def models_in(annotation: object) -> list[type[BaseModel]]:
    """Every configuration class named inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def reachable(root: type[BaseModel]) -> list[type[BaseModel]]:
    """`root` and every class that a value of it can hold, in the order of first mention."""
    found: list[type[BaseModel]] = []
    waiting = [root]
    while waiting:
        model = waiting.pop(0)
        if model not in found:
            found.append(model)
            for field in model.model_fields.values():
                waiting += models_in(field.annotation)
    return found


def tag(model: type[BaseModel]) -> str | None:
    """The `name` that chooses this component in a file, if it is a component."""
    field = model.model_fields.get("name")
    values = get_args(field.annotation) if field else ()
    return values[0] if values and isinstance(values[0], str) else None


def show_type(annotation: object) -> str:
    """An annotation as a reader of YAML thinks of it."""
    if annotation is NoneType:
        return "null"
    if isinstance(annotation, type) and not get_args(annotation):
        return (
            f"[{annotation.__name__}](#{annotation.__name__.lower()})"
            if models_in(annotation)
            else annotation.__name__
        )
    parts = [show_type(part) for part in get_args(annotation) if part is not Ellipsis]
    origin = getattr(get_origin(annotation), "__name__", "")
    if origin == "Literal" or str(get_origin(annotation)) == "typing.Literal":
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if origin in ("dict", "Mapping"):
        return f"mapping of {parts[0]} to {parts[1]}"
    if origin in ("tuple", "list", "Sequence"):
        return f"list of {', '.join(dict.fromkeys(parts))}"
    if origin == "Annotated":
        return show_type(get_args(annotation)[0])
    return " or ".join(dict.fromkeys(parts)) or str(annotation)


def show_bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(part, name)}"
        for part in field.metadata
        for name, sign in signs.items()
        if getattr(part, name, None) is not None
    ]
    return f" ({', '.join(bounds)})" if bounds else ""


def show_default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "empty"
    if field.default is PydanticUndefined:
        return ""
    value = field.default
    return "`null`" if value is None else "empty" if value == () else f"`{value}`"


def section(model: type[BaseModel]) -> str:
    name = tag(model)
    title = f"## {model.__name__}\n\n" + (f"Chosen by `name: {name}`. " if name else "")
    text = (model.__doc__ or "").strip()
    first = re.sub(r"\s+", " ", text.split("\n\n")[0])
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key, field in model.model_fields.items():
        if key == "name" and name:
            continue
        cells = [
            f"`{key}`",
            show_type(field.annotation) + show_bounds(field),
            show_default(field),
            re.sub(r"\s+", " ", field.description or ""),
        ]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    table = "\n".join(rows) if len(rows) > 2 else "No keys of its own."
    return f"{title}{first}\n\n{table}\n"


def page() -> str:
    options = [FileOptions, GenerateOptions, ScoreOptions, ProbeOptions]
    return "\n".join([HEAD, *(section(model) for model in [Machine, *options, *reachable(Lock)])])


def main(arguments: list[str]) -> int:
    return write_or_check(PAGE, page(), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
