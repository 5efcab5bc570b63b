"""compose: params.yaml and conf/ into params.lock.yaml, the exact result every other stage reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seedbed.config import UserError, load_yaml
from seedbed.recipes import COMPOSED, LOCK, PARAMS, TRANSFER, Lock, digest
from seedbed.workspace import write_atomically

HEADER = (
    "# Made by `seedbed compose` from params.yaml and conf/; do not edit, change those and run dvc repro.\n"
)
QUOTING = """; quote what is not ASCII, for the shell too: 'key=["값"]'; such keys belong into params.yaml"""
Values = Mapping[str, Any]


def run(root: Path) -> None:
    """Write params.lock.yaml, checked; nothing is written when anything is wrong."""
    tree = compose_all(root)
    lock = Lock.check(tree, PARAMS)
    text = HEADER + yaml.safe_dump(lock.model_dump(mode="json"), allow_unicode=True, width=110)
    write_atomically(root / LOCK, text.encode())
    runs = sum(len(getattr(lock, verb)) for verb in COMPOSED if verb != "evaluate")
    print(f"compose: {runs} runs into {LOCK}")


def compose_all(root: Path) -> dict[str, Any]:
    """The whole tree, composed run by run."""
    params = load_yaml(root / PARAMS)
    params = _mapping(params, PARAMS)
    known_keys = [*COMPOSED, TRANSFER, "set"]
    unknown = sorted(set(params) - set(known_keys))
    if unknown:
        raise UserError(
            f"{PARAMS}: {unknown[0]}: unknown key; known keys: {', '.join(known_keys)}; rename it"
        )
    settings = _mapping(params.get("set") or {}, f"{PARAMS}: set")
    for verb, runs in settings.items():
        known = [] if verb not in COMPOSED else _entries(params, verb)
        for name in _mapping(runs, f"{PARAMS}: set.{verb}") if verb != "evaluate" else ():
            if name not in known:
                raise UserError(
                    f"{PARAMS}: set.{verb}.{name}: no such run; known: {', '.join(known) or 'none'}"
                )
    tree: dict[str, Any] = {"digest": digest(root)}
    for verb in COMPOSED:
        if verb == "evaluate":
            tree[verb] = compose_run(
                root, verb, str(params.get(verb) or "default"), {}, settings.get(verb) or {}
            )
            continue
        entries = _entries(params, verb)
        of_verb = _mapping(settings.get(verb) or {}, f"{PARAMS}: set.{verb}")
        tree[verb] = {
            str(name): compose_run(
                root,
                verb,
                str(name),
                _mapping(links or {}, f"{PARAMS}: {verb}.{name}"),
                of_verb.get(name) or {},
            )
            for name, links in entries.items()
        }
    return tree


def _entries(params: Values, verb: str) -> dict[str, Any]:
    """The runs of a verb with their links; forecast's are those under `transfer` too, each with its model."""
    entries = _mapping(params.get(verb) or {}, f"{PARAMS}: {verb}")
    if verb != "forecast":
        return entries
    transfers = _mapping(params.get(TRANSFER) or {}, f"{PARAMS}: {TRANSFER}")
    for name, links in transfers.items():
        if name in entries:
            raise UserError(f"{PARAMS}: {TRANSFER}.{name}: is under forecast too; leave one of them out")
        if not _mapping(links, f"{PARAMS}: {TRANSFER}.{name}").get("model"):
            raise UserError(
                f"{PARAMS}: {TRANSFER}.{name}: no model; name the forecast run whose members it takes"
            )
    for name, links in entries.items():
        if "model" in (links or {}):
            raise UserError(
                f"{PARAMS}: forecast.{name}.model: a run with another's members stands under {TRANSFER}, "
                "where DVC sees what it depends on; move it there"
            )
    return entries | transfers


def compose_with_overrides(root: Path, verb: str, run: str, overrides: Sequence[str]) -> Lock:
    """The tree with the command line's `key=value` overrides on one run: the same composition, checked."""
    tree = compose_all(root)
    params = load_yaml(root / PARAMS)
    settings = (params.get("set") or {}).get(verb) or {}
    entries = {} if verb == "evaluate" else _entries(params, verb)
    links = {} if verb == "evaluate" else entries.get(run)
    if links is None:
        raise UserError(f"{verb} {run}: no such run in {PARAMS}; known: {', '.join(entries) or 'none'}")
    own = settings if verb == "evaluate" else settings.get(run) or {}
    values = _flatten(own) | values_of(overrides, f"{verb} {run}")
    name = str(params.get(verb) or "default") if verb == "evaluate" else run
    composed = compose_run(root, verb, name, links, values)
    tree[verb] = composed if verb == "evaluate" else {**tree[verb], run: composed}
    return Lock.check(tree, "command line")


def compose_run(root: Path, verb: str, run: str, links: Values, settings: Values) -> dict[str, Any]:
    """One recipe: conf/<verb>/<run or links.recipe>.yaml, then the links, then single settings.

    A setting whose place holds a component, or nothing where one may stand, and whose value is a name
    switches the component's file (`encoder=electra_small`); any other sets the one value.
    """
    links = dict(links)
    recipe = str(links.pop("recipe", run))
    if not (root / "conf" / verb / f"{recipe}.yaml").is_file():
        raise UserError(
            f"{PARAMS}: {verb}.{run}: no recipe conf/{verb}/{recipe}.yaml; "
            f"write it, or name one of {', '.join(_names(root, verb))} by `recipe:`"
        )
    config = _hydra(root, verb, recipe)
    # from the outside in: a component is replaced before a value inside it is set
    values = {**links, **_flatten(settings)}
    for key, value in sorted(values.items(), key=lambda item: item[0].count(".")):
        if isinstance(value, str) and _takes_component(root, config, key, value):
            value = _component(root, f"{verb}.{run}.{key}", value)
        OmegaConf.update(config, key, value, merge=False, force_add=True)
    missing = sorted(str(key) for key in OmegaConf.missing_keys(config))
    if missing:
        raise UserError(
            f"{PARAMS}: {verb}.{run}.{missing[0]}: unset (???); "
            f"give it in the run's entry or in conf/{verb}/{recipe}.yaml"
        )
    try:
        container = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"conf/{verb}/{recipe}.yaml: {_one_line(error)}") from None
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def _hydra(root: Path, group: str, name: str) -> DictConfig:
    """The composed conf/<group>/<name>.yaml."""
    try:
        with initialize_config_dir(str((root / "conf").resolve()), version_base="1.3"):
            config = compose(f"{group}/{name}")
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise UserError(f"conf/{group}/{name}.yaml: {_one_line(error)}") from None
    # without its parent, so that places are told from the recipe on
    detached = OmegaConf.create(OmegaConf.to_container(config[group]) if group in config else {})
    assert isinstance(detached, DictConfig)
    return detached


def _takes_component(root: Path, config: DictConfig, key: str, value: str) -> bool:
    held = OmegaConf.select(config, key, default="")
    holder, _, group = key.rpartition(".")
    if held is None:
        return (root / "conf" / group).is_dir()
    # a task's file need not name what it leaves out; at the top a key that no file holds is a link's
    is_left_out = held == "" and bool(holder) and isinstance(OmegaConf.select(config, holder), DictConfig)
    return isinstance(held, DictConfig) or (is_left_out and value in _names(root, group))


def _component(root: Path, where: str, value: str) -> DictConfig:
    """The component file that is to replace the one at `where`, together with what the recipe set in it."""
    group = where.rsplit(".", 1)[-1]
    if value not in _names(root, group):
        raise UserError(
            f"{where}: no file conf/{group}/{value}.yaml; known: {', '.join(_names(root, group)) or 'none'}"
        )
    return _hydra(root, group, value)


def _names(root: Path, group: str) -> list[str]:
    return sorted(p.stem for p in (root / "conf" / group).glob("*.yaml") if p.stem != "_base")


def values_of(overrides: Sequence[str], where: str) -> dict[str, Any]:
    """`key=value` in Hydra's override grammar; sweeps and deletions are not taken here."""
    values: dict[str, Any] = {}
    for text in overrides:
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException as error:
            quoting = "" if text.isascii() else QUOTING
            raise UserError(f"{where}: {text}: not key=value: {_one_line(error)}{quoting}") from None
        if override.is_sweep_override() or override.is_delete() or override.package is not None:
            raise UserError(f"{where}: {text}: give one plain key=value; sweeps belong to `seedbed tune`")
        value = override.value()
        values[override.key_or_group] = value if not isinstance(value, str) else str(value)
    return values


def _flatten(values: Values, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: a mapping of names is needed, got {value!r}")
    return value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
