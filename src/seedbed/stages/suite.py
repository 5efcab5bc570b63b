"""suite: seedbed suite NAME BACKBONE [key=value ...], a suite's runs written into params.yaml.

A suite is a file of conf/suite: which benchmarks, and how long each is trained. The runs become lines of
params.yaml, where `dvc repro` finds them and a person can change or remove them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from seedbed.config import Machine, Strict, UserError, load_yaml
from seedbed.objectives import PretrainRecipe
from seedbed.recipes import PARAMS, mismatch
from seedbed.tasks import FinetuneRecipe
from seedbed.workspace import write_atomically

Lines = dict[str, dict[str, str]]
"""The lines of params.yaml by verb and run."""


class BenchmarkRuns(Strict):
    """One benchmark: its fetch run, preprocess run and task, and the length of its fine-tuning."""

    source: str
    corpus: str
    task: str
    max_steps: int = Field(ge=1)
    warmup_steps: int = Field(ge=0)

    def links(self, recipe: str, backbone: str) -> dict[str, str]:
        return {"recipe": recipe, "backbone": backbone, "corpus": self.corpus, "task": self.task}

    def within(self, most_steps: int | None) -> dict[str, int]:
        """Its length, cut to `most_steps`; warm-up stays the same share."""
        steps = self.max_steps if most_steps is None else min(self.max_steps, most_steps)
        warmup = self.warmup_steps * steps // self.max_steps
        return {"max_steps": steps, "schedule.warmup_steps": warmup}


class Suite(Strict):
    benchmarks: dict[str, BenchmarkRuns] = Field(min_length=1)


class SuiteOptions(Strict):
    """What is the suite's own; every other `key=value` is set in each of its fine-tunings."""

    recipe: str | tuple[str, ...] = Field(
        "benchmark", description="of conf/finetune, or several; benchmark_tfidf and others are baselines"
    )
    benchmarks: tuple[str, ...] | None = Field(None, min_length=1, description="these alone; null: all")
    most_steps: int | None = Field(None, ge=1, description="longer fine-tunings end here; null: none does")

    @property
    def recipes(self) -> tuple[str, ...]:
        return (self.recipe,) if isinstance(self.recipe, str) else self.recipe


def run(root: Path, machine: Machine, arguments: list[str]) -> None:
    """Add what params.yaml does not have yet, and say what that is; a second time nothing."""
    from seedbed.stages.compose import values_of

    del machine
    if len(arguments) < 2:
        raise UserError("suite: which suite, on which backbone? seedbed suite NAME BACKBONE [key=value ...]")
    name, backbone, *words = arguments
    where = f"suite {name}"
    values = values_of(words, where)
    own = {key: values.pop(key) for key in SuiteOptions.model_fields if key in values}
    options = SuiteOptions.parse(own, where)
    suite = chosen(root, name, options)
    network = network_of(root, backbone, where)
    lines: Lines = {"fetch": {}, "preprocess": {}, "finetune": {}}
    refused: list[str] = []
    for recipe in options.recipes:
        of_recipe, told = lines_of(root, suite, backbone, recipe, options, values, network=network)
        refused += told
        for verb, of_verb in of_recipe.items():
            lines[verb] |= of_verb
    added, present = write(root, lines)
    for reason in refused:
        print(f"{where}: left out: {reason}")
    print(f"{where}: {len(added)} runs into {PARAMS}{': ' + ', '.join(added) if added else ''}")
    if present:
        print(f"{where}: {PARAMS} has already, and they stay as they are: {', '.join(present)}")


def chosen(root: Path, name: str, options: SuiteOptions) -> Suite:
    """The benchmarks of conf/suite/NAME.yaml that are asked for."""
    known = sorted(path.stem for path in (root / "conf/suite").glob("*.yaml"))
    if name not in known:
        raise UserError(f"suite {name}: no conf/suite/{name}.yaml; known: {', '.join(known) or 'none'}")
    path = root / "conf/suite" / f"{name}.yaml"
    all_of_it = Suite.parse(load_yaml(path), where=str(path)).benchmarks
    names = tuple(all_of_it) if options.benchmarks is None else options.benchmarks
    for one in names:
        if one not in all_of_it:
            raise UserError(
                f"suite {name}: benchmarks: {one!r} is none of {', '.join(all_of_it)}; correct it"
            )
    return Suite(benchmarks={one: runs for one, runs in all_of_it.items() if one in names})


def network_of(root: Path, backbone: str, where: str) -> str:
    """What kind of network a pretrain run of params.yaml makes."""
    from seedbed.stages.compose import compose_run

    params = load_yaml(root / PARAMS)
    backbones, settings = params.get("pretrain") or {}, (params.get("set") or {}).get("pretrain") or {}
    if backbone not in backbones:
        raise UserError(
            f"{where}: no pretrain run makes {backbone!r}; known: {', '.join(backbones) or 'none'}; add it "
            f"to {PARAMS} or choose another"
        )
    composed = compose_run(
        root, "pretrain", backbone, backbones[backbone] or {}, settings.get(backbone) or {}
    )
    return PretrainRecipe.parse(composed, f"pretrain.{backbone}").objective.network


def lines_of(
    root: Path,
    suite: Suite,
    backbone: str,
    recipe: str,
    options: SuiteOptions,
    values: Mapping[str, Any],
    *,
    network: str,
) -> tuple[Lines, list[str]]:
    """The lines of one recipe, and why it cannot take a benchmark; UserError where it can take none."""
    from seedbed.stages.compose import compose_run

    lines: Lines = {"fetch": {}, "preprocess": {}, "finetune": {}}
    refused: list[str] = []
    baseline = recipe.removeprefix("benchmark").lstrip("_")
    any_links = next(iter(suite.benchmarks.values())).links(recipe, backbone)
    if compose_run(root, "finetune", recipe, any_links, {})["classifier"]["name"] == "tfidf":
        # no chance in it: more seeds repeat the first
        values = {key: value for key, value in values.items() if key != "seeds"}
    for name, one in suite.benchmarks.items():
        of = f"{backbone}-{name}" if not baseline else f"{backbone}-{name}-{baseline}"
        links = one.links(recipe, backbone)
        settings = {**one.within(options.most_steps), **values}
        try:
            composed = compose_run(root, "finetune", of, links, settings)
            if unfit := mismatch(FinetuneRecipe.parse(composed, f"{recipe} on {name}"), network):
                raise UserError(f"{recipe} on {name}: {unfit}; choose another recipe or backbone")
        except UserError as error:
            refused.append(str(error))
            if len(refused) == len(suite.benchmarks):
                raise
            continue
        lines["fetch"][one.source] = f"{one.source}: {{}}"
        lines["preprocess"][one.corpus] = f"{one.corpus}: {{source: {one.source}}}"
        written = yaml.safe_dump(
            {**links, **settings}, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6
        )
        lines["finetune"][of] = f"{of}: {written.strip()}"
    return lines, refused


def write(root: Path, lines: Lines) -> tuple[list[str], list[str]]:
    """The lines into params.yaml; which runs are new there, and which fine-tunings were there before."""
    text, held = (root / PARAMS).read_text(encoding="utf-8"), load_yaml(root / PARAMS)
    added: list[str] = []
    for verb, of_verb in lines.items():
        new = {run: line for run, line in of_verb.items() if run not in (held.get(verb) or {})}
        text = inserted(text, verb, list(new.values()))
        added += [f"{verb} {run}" for run in new]
    if added:
        write_atomically(root / PARAMS, text.encode())
    return added, [run for run in lines["finetune"] if f"finetune {run}" not in added]


def inserted(text: str, verb: str, new: list[str]) -> str:
    """`new` at the end of the block of `verb`; every other line, comments too, stays as it is."""
    if not new:
        return text
    lines = [
        verb + ":" if line.split("#")[0].rstrip() == f"{verb}: {{}}" else line for line in text.split("\n")
    ]
    starts = [n for n, line in enumerate(lines) if line.split("#")[0].rstrip() == f"{verb}:"]
    if len(starts) != 1:
        raise UserError(f"{PARAMS}: no block {verb!r} on a line of its own; write `{verb}:` above its runs")
    end = starts[0] + 1
    last, indent = end, ""
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " #"):
        line = lines[end]
        end += 1
        last = end if line.startswith(" ") else last
        if not indent and line.strip() and not line.lstrip().startswith("#"):
            indent = line[: len(line) - len(line.lstrip())]
    return "\n".join([*lines[:last], *((indent or "  ") + line for line in new), *lines[last:]])
