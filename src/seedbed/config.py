"""What every configuration shares: the strict base model, the user's error, the machine file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

VERBS = (
    "compose",
    "fetch",
    "preprocess",
    "tokenize",
    "pretrain",
    "finetune",
    "forecast",
    "evaluate",
    "tune",
)
MACHINE_VARIABLE = "SEEDBED_MACHINE"


class UserError(ValueError):
    """A fault the user can mend, told in one line: where, what came, what is allowed, what to do.

    The command line prints it and exits with 2, without a stack trace.
    """


class Interrupted(Exception):
    """The run was asked to stop and has saved its state; the same command continues it (exit code 75)."""


class Strict(BaseModel):
    """A frozen configuration that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    lacking: ClassVar[Mapping[str, str]] = {}
    """Keys that others of its kind have, each with why this one refuses it."""

    @classmethod
    def parse(cls, value: object, where: str) -> Self:
        """Validate `value` found at the dotted place `where`; raises UserError with one line."""
        try:
            # JSON mode: YAML knows lists, never tuples, so "strict" must allow list -> tuple.
            return cls.model_validate_json(_to_json(value))
        except ValidationError as error:
            raise UserError(describe(error, cls, where)) from None

    @classmethod
    def parse_words(cls, words: Sequence[str], where: str) -> Self:
        """Validate `key=value` words of the command line; a value is JSON, or else text."""
        values: dict[str, object] = {}
        for word in words:
            key, equals, text = word.partition("=")
            if not equals:
                known = ", ".join(cls.model_fields)
                raise UserError(f"{where}: {word!r} is no key=value; known keys: {known}; correct it")
            values[key] = _from_json(text)
        return cls.parse(values, where)


def _from_json(text: str) -> object:
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def _to_json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def describe(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """The first fault of a validation error as one line: place, what came, what is allowed."""
    first = error.errors(include_url=False)[0]
    # A discriminated union puts the tag between field and inner key; the user never wrote it.
    place = ".".join([where, *_written(first["loc"], model)]) if first["loc"] else where
    more = error.error_count() - 1
    tail = f" (and {more} more fault{'s' if more > 1 else ''})" if more else ""
    kind = first["type"]
    if kind == "extra_forbidden":
        holder = _walk(model, first["loc"])[1]
        if holder and issubclass(holder, Strict) and (why := holder.lacking.get(str(first["loc"][-1]))):
            return f"{place}: {why}{tail}"
        known = sorted(holder.model_fields) if holder else []
        allowed = f"; known keys: {', '.join(known)}" if known else ""
        return f"{place}: unknown key{allowed}; remove or rename it{tail}"
    if kind == "missing":
        return f"{place}: missing; give it a value in params.yaml or conf/{tail}"
    message = first["msg"].removeprefix("Value error, ")
    if kind == "value_error" and isinstance(first["input"], Mapping):  # of several keys: it says what came
        return f"{place}: {message}{tail}"
    came = repr(first["input"])
    came = came if len(came) <= 80 else came[:77] + "..."
    return f"{place}: {message[:1].lower() + message[1:]}, got {came}{tail}"


def _members(annotation: object) -> list[type[BaseModel]]:
    """Every model class named inside an annotation."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [member for part in get_args(annotation) for member in _members(part)]


def _walk(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """The keys of `loc` that the user wrote, and the model that holds the last of them."""
    written: list[str] = []
    current: type[BaseModel] | None = model
    candidates: list[type[BaseModel]] = []
    for part in loc:
        tagged = [c for c in candidates if _tag(c) == part] if len(candidates) > 1 else []
        if tagged:
            current, candidates = tagged[0], []
            continue
        if len(candidates) == 1:
            current = candidates[0]
        written.append(str(part))
        field = current.model_fields.get(str(part)) if current else None
        if field is None and current is not None and candidates and not isinstance(part, int):
            # a key of a dict[str, Model]: stay with the candidates
            continue
        candidates = _members(field.annotation) if field else candidates
        if field and get_origin(field.annotation) in (dict, Mapping):
            current = None
    return written, current


def _tag(model: type[BaseModel]) -> object:
    field = model.model_fields.get("name")
    return (get_args(field.annotation) or (None,))[0] if field else None


def _written(loc: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    return _walk(model, loc)[0]


class Machine(Strict):
    """What changes only the clock; chosen by SEEDBED_MACHINE, logged, never tracked by DVC."""

    accelerator: Literal["cpu", "gpu"] = "cpu"
    devices: int = Field(1, ge=1, description="processes per node, one device each")
    num_nodes: int = Field(1, ge=1)
    strategy: Literal["ddp", "fsdp"] = Field(
        "ddp",
        description="of several devices: ddp has the whole of weights and moments on each, fsdp a share",
    )
    activation_checkpointing: bool = Field(
        False, description="keep only each block's input and compute it again: less memory, a third slower"
    )
    launcher: Literal["local", "slurm"] = "local"
    threads: int = Field(2, ge=1, description="arithmetic threads per process")
    spin: int = Field(
        10_000,
        ge=0,
        description="turns that a waiting thread makes before it sleeps; 0 where other work shares the cores",
    )
    workers: int = Field(0, ge=0, description="loader processes per device; 0 loads in the trainer")
    tokens_per_device: int = Field(65536, ge=1, description="most tokens in one forward pass")
    compile: bool = False
    fp32_through_onednn: bool = Field(
        False,
        description="torch.set_float32_matmul_precision('medium'): faster on AMD, bf16 on AMX CPUs",
    )
    scratch: str = Field(".scratch", description="folder of checkpoints and journals")
    tracking_uri: str = "sqlite:///mlflow.db"
    mirror: str | None = Field(None, description="folder or base URL asked before any download")
    checkpoint_minutes: float = Field(2.0, gt=0)

    @property
    def world_size(self) -> int:
        return self.devices * self.num_nodes


def rank_and_world(environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """This process's rank and the number of processes, from what torchrun or Slurm set."""
    variables = os.environ if environment is None else environment
    if "TORCHELASTIC_RUN_ID" in variables:
        return int(variables["RANK"]), int(variables["WORLD_SIZE"])
    if "SLURM_PROCID" in variables and "SLURM_STEP_NUM_TASKS" in variables:
        return int(variables["SLURM_PROCID"]), int(variables["SLURM_STEP_NUM_TASKS"])
    return 0, 1


def local_rank() -> int:
    """This process's place among those of its node, which is its device there."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")))


def load_yaml(path: Path) -> Any:
    """Read one YAML file; a missing, unreadable or malformed file is the user's error."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the folder that holds params.yaml") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not YAML: {getattr(error, 'problem', error)}") from None


def load_machine(root: Path, environment: Mapping[str, str] | None = None) -> Machine:
    """The machine file named by SEEDBED_MACHINE: a name in conf/machine/ or a path; else `local`."""
    chosen = (os.environ if environment is None else environment).get(MACHINE_VARIABLE, "local")
    folder = root / "conf" / "machine"
    path = Path(chosen) if chosen.endswith((".yaml", ".yml")) else folder / f"{chosen}.yaml"
    if not path.is_file():
        if not folder.is_dir() and path.parent == folder:
            raise UserError(
                f"no machine file {path}: {root} is no project; change into the project's folder (your own "
                "series need none: seedbed forecast FILE.csv)"
            )
        names = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise UserError(
            f"{MACHINE_VARIABLE}={chosen}: no machine file {path}; choose one of {names} or give a path"
        )
    return Machine.parse(load_yaml(path) or {}, where=str(path))
