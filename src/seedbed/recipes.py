"""The typed tree of params.lock.yaml and the checks between its branches."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from seedbed.config import VERBS, Strict, UserError, load_yaml
from seedbed.corpora import FetchRecipe
from seedbed.evaluation import EvaluateRecipe
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.transfer import TRAINED, match
from seedbed.objectives import PretrainRecipe
from seedbed.preprocessing import PreprocessRecipe
from seedbed.tasks import FinetuneRecipe
from seedbed.tokenization import ExistingTokenizerConfig, ExtendedTokenizerConfig, TokenizeRecipe
from seedbed.tuning import TuneRecipe
from seedbed.workspace import hash_bytes, hash_json

PARAMS = "params.yaml"
LOCK = "params.lock.yaml"
COMPOSED = tuple(verb for verb in VERBS if verb != "compose")
TRANSFER = "transfer"
"""A key of params.yaml beside the verbs: forecast runs that take another's `model`. They are a DVC stage of
their own, for of one `foreach` either all depend on such a folder or none."""
RUN_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")


def mismatch(finetune: FinetuneRecipe, network: str | None) -> str | None:
    """Why the classifier cannot stand on a backbone of this kind; None where it can, or none is known."""
    wanted = finetune.classifier.stands_on
    if wanted is None or network is None or network == wanted:
        return None
    return (
        f"{finetune.backbone} is a{'n' * (network[0] in 'aeiou')} {network}, classifier "
        f"{finetune.classifier.name} takes a{'n' * (wanted[0] in 'aeiou')} {wanted}"
    )


class Lock(Strict):
    """The whole resolved configuration: params.yaml says what runs, conf/ says how, this is the result."""

    digest: str = Field(description="hash of everything compose read")
    fetch: dict[str, FetchRecipe]
    preprocess: dict[str, PreprocessRecipe]
    tokenize: dict[str, TokenizeRecipe]
    pretrain: dict[str, PretrainRecipe]
    finetune: dict[str, FinetuneRecipe]
    forecast: dict[str, ForecastRecipe]
    evaluate: EvaluateRecipe
    tune: dict[str, TuneRecipe]

    @classmethod
    def check(cls, tree: Mapping[str, Any], where: str) -> Self:
        """Validate types, run names and every link from one run to another."""
        for verb in COMPOSED:
            for run in tree.get(verb) or {} if verb != "evaluate" else ():
                if not RUN_NAME.fullmatch(str(run)):
                    raise UserError(
                        f"{where}: {verb}.{run}: a run's name is lower-case words joined by _ or -, rename it"
                    )
        lock = cls.parse(dict(tree), where)
        for verb, run, field, target_verb, target in lock.links():
            known = getattr(lock, target_verb)
            foreign = target_verb == "pretrain" and not RUN_NAME.fullmatch(target)
            if target not in known and not foreign:
                raise UserError(
                    f"{where}: {verb}.{run}.{field}: no {target_verb} run makes {target!r}; "
                    f"known: {', '.join(known) or 'none'}; add it to params.yaml or choose another"
                )
        lock.check_backbones(where)
        lock.check_starts(where)
        lock.check_transfers(where)
        return lock

    def check_backbones(self, where: str) -> None:
        """A classifier stands on the network it is made for; others take no more than the tokenizer."""
        networks = {run: pretrain.objective.network for run, pretrain in self.pretrain.items()}
        for run, finetune in self.finetune.items():
            # of a folder its config.json tells, when it is opened
            if unfit := mismatch(finetune, networks.get(finetune.backbone)):
                wanted = finetune.classifier.stands_on
                fitting = ", ".join(name for name, network in networks.items() if network == wanted)
                raise UserError(
                    f"{where}: finetune.{run}.backbone: {unfit}; choose one of {fitting or 'none'}"
                )

    def check_starts(self, where: str) -> None:
        """No run begins, by whatever way round, where it ends."""
        starts = {
            run: [] if pretrain.start is None else pretrain.start.folders
            for run, pretrain in self.pretrain.items()
        }
        for run in starts:
            before, waiting = set[str](), list(starts[run])
            while waiting:
                name = waiting.pop()
                if name == run:
                    raise UserError(
                        f"{where}: pretrain.{run}.start: the run would begin with its own result; start from "
                        "another run"
                    )
                if name not in before:
                    before.add(name)
                    waiting += starts.get(name, [])

    def check_transfers(self, where: str) -> None:
        """What is transferred was trained, on frequencies that match and as far ahead."""
        for run, forecast in self.forecast.items():
            if forecast.model is None:
                continue
            other = self.forecast[forecast.model]
            if other.forecaster.name not in TRAINED:
                raise UserError(
                    f"{where}: forecast.{run}.model: {forecast.model} is a {other.forecaster.name}, which "
                    f"keeps nothing that could be transferred; choose a run of {', '.join(TRAINED)}"
                )
            if other.panel.covered():
                raise UserError(
                    f"{where}: forecast.{run}.model: {forecast.model} was trained with covariates "
                    f"{other.panel.covered()}, which no transfer passes on; choose a run without"
                )
            for name, config in forecast.panel.frequencies.items():
                match(name, config, other.panel.frequencies, where=f"{where}: forecast.{run}.model")

    def links(self) -> list[tuple[str, str, str, str, str]]:
        """(verb, run, field, target verb, target run) of every reference between runs."""
        found: list[tuple[str, str, str, str, str]] = []
        for run, preprocess in self.preprocess.items():
            found.append(("preprocess", run, "source", "fetch", preprocess.source))
        for run, tokenize in self.tokenize.items():
            found.append(("tokenize", run, "corpus", "preprocess", tokenize.corpus))
            if isinstance(tokenize.tokenizer, ExistingTokenizerConfig | ExtendedTokenizerConfig):
                checkpoint = tokenize.tokenizer.checkpoint
                found.append(("tokenize", run, "tokenizer.checkpoint", "pretrain", checkpoint))
        for run, pretrain in self.pretrain.items():
            found.append(("pretrain", run, "tokens", "tokenize", pretrain.tokens))
            for folder in [] if pretrain.start is None else pretrain.start.folders:
                found.append(("pretrain", run, "start", "pretrain", folder))
        for run, finetune in self.finetune.items():
            found.append(("finetune", run, "backbone", "pretrain", finetune.backbone))
            found.append(("finetune", run, "corpus", "preprocess", finetune.corpus))
        for run, forecast in self.forecast.items():
            found.append(("forecast", run, "source", "fetch", forecast.source))
            if forecast.model is not None:
                found.append(("forecast", run, "model", "forecast", forecast.model))
        for run, tune in self.tune.items():
            found.append(("tune", run, "finetune", "finetune", tune.finetune))
        return found


def digest(root: Path) -> str:
    """Hash of exactly what compose reads: the values of params.yaml and the files of conf/ but machine/.

    DVC compares params.yaml by value, so a comment there must not make the lock stale; the files of
    conf/ count by their bytes, because a comment can be a Hydra directive.
    """
    conf = root / "conf"
    files = sorted(p for p in conf.rglob("*.yaml") if p.relative_to(conf).parts[0] != "machine")
    names = [[p.relative_to(conf).as_posix(), hash_bytes(p.read_bytes())] for p in files]
    return hash_json([load_yaml(root / PARAMS), names])


def load_lock(root: Path) -> Lock:
    """Read and check params.lock.yaml; a stale or missing one is the user's error."""
    path = root / LOCK
    if not path.is_file():
        raise UserError(f"{path}: no lock file; make it with `seedbed compose` or `dvc repro compose`")
    tree = load_yaml(path)
    if not isinstance(tree, dict) or tree.get("digest") != digest(root):
        raise UserError(
            f"{path}: stale: params.yaml or conf/ changed after it was composed; run `dvc repro compose`"
        )
    return Lock.check(tree, LOCK)


def flatten(value: object, prefix: str = "") -> dict[str, str]:
    """Dotted keys to printed values, as tracking shows them."""
    if isinstance(value, Mapping):
        items: dict[str, str] = {}
        for key, inner in value.items():
            items |= flatten(inner, f"{prefix}{key}.")
        return items
    return {prefix.rstrip("."): str(value)}
