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


class Conf:
    """The files of conf/ as Hydra composes them, each once however many runs name it."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "conf"
        self._composed: dict[tuple[str, str], Any] = {}

    def has(self, group: str, name: str) -> bool:
        return (self._folder / group / f"{name}.yaml").is_file()

    def has_group(self, group: str) -> bool:
        return (self._folder / group).is_dir()

    def names(self, group: str) -> list[str]:
        return sorted(path.stem for path in (self._folder / group).glob("*.yaml") if path.stem != "_base")

    def file(self, group: str, name: str) -> DictConfig:
        """conf/<group>/<name>.yaml with its defaults, to be changed by whoever asked."""
        if (group, name) not in self._composed:
            self._composed[group, name] = self._compose(group, name)
        # without its parent, so that places are told from the recipe on
        detached = OmegaConf.create(self._composed[group, name])
        assert isinstance(detached, DictConfig)
        return detached

    def _compose(self, group: str, name: str) -> Any:
        try:
            with initialize_config_dir(str(self._folder.resolve()), version_base="1.3"):
                config = compose(f"{group}/{name}")
        except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
            raise UserError(f"conf/{group}/{name}.yaml: {_one_line(error)}") from None
        return OmegaConf.to_container(config[group]) if group in config else {}


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
    conf, params = Conf(root), _mapping(load_yaml(root / PARAMS), PARAMS)
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
            name = str(params.get(verb) or "default")
            tree[verb] = _recipe(conf, verb, name, {}, settings.get(verb) or {})
            continue
        entries = _entries(params, verb)
        of_verb = _mapping(settings.get(verb) or {}, f"{PARAMS}: set.{verb}")
        tree[verb] = {
            str(name): _recipe(
                conf,
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


def compose_with_overrides(root: Path, lock: Lock, verb: str, run: str, overrides: Sequence[str]) -> Lock:
    """The lock with the command line's `key=value` overrides on one run: the same composition, checked."""
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
    tree = lock.model_dump(mode="json")
    tree[verb] = composed if verb == "evaluate" else {**tree[verb], run: composed}
    return Lock.check(tree, "command line")


def compose_run(root: Path, verb: str, run: str, links: Values, settings: Values) -> dict[str, Any]:
    """One recipe: conf/<verb>/<run or links.recipe>.yaml, then the links, then single settings.

    A setting whose place holds a component, or nothing where one may stand, and whose value is a name
    switches the component's file (`encoder=electra_small`); any other sets the one value.
    """
    return _recipe(Conf(root), verb, run, links, settings)


def _recipe(conf: Conf, verb: str, run: str, links: Values, settings: Values) -> dict[str, Any]:
    links = dict(links)
    recipe = str(links.pop("recipe", run))
    if not conf.has(verb, recipe):
        raise UserError(
            f"{PARAMS}: {verb}.{run}: no recipe conf/{verb}/{recipe}.yaml; "
            f"write it, or name one of {', '.join(conf.names(verb))} by `recipe:`"
        )
    config = conf.file(verb, recipe)
    # from the outside in: a component is replaced before a value inside it is set
    values = {**links, **_flatten(settings)}
    for key, value in sorted(values.items(), key=lambda item: item[0].count(".")):
        if isinstance(value, str) and _takes_component(conf, config, key, value):
            value = _component(conf, f"{verb}.{run}.{key}", value)
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


def _takes_component(conf: Conf, config: DictConfig, key: str, value: str) -> bool:
    held = OmegaConf.select(config, key, default="")
    holder, _, group = key.rpartition(".")
    if held is None:
        return conf.has_group(group)
    # a task's file need not name what it leaves out; at the top a key that no file holds is a link's
    is_left_out = held == "" and bool(holder) and isinstance(OmegaConf.select(config, holder), DictConfig)
    return isinstance(held, DictConfig) or (is_left_out and value in conf.names(group))


def _component(conf: Conf, where: str, value: str) -> DictConfig:
    """The component file that is to replace the one at `where`, together with what the recipe set in it."""
    group = where.rsplit(".", 1)[-1]
    if value not in conf.names(group):
        raise UserError(
            f"{where}: no file conf/{group}/{value}.yaml; known: {', '.join(conf.names(group)) or 'none'}"
        )
    return conf.file(group, value)


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
