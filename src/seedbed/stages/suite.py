"""suite: seedbed suite NAME BACKBONE [key=value ...], a suite's runs written into params.yaml.

A suite is a file of conf/suite: which benchmarks, and how long each is trained. The runs become lines of
params.yaml, where `dvc repro` finds them and a person can change or remove them.
"""

from pathlib import Path

from pydantic import Field

from seedbed.config import Machine, Strict, UserError, load_yaml
from seedbed.recipes import PARAMS, RUN_NAME
from seedbed.workspace import write_atomically


class BenchmarkRuns(Strict):
    """One benchmark: its fetch run, preprocess run and task, and the length of its fine-tuning."""

    source: str
    corpus: str
    task: str
    max_steps: int = Field(ge=1)
    warmup_steps: int = Field(ge=0)


class Suite(Strict):
    benchmarks: dict[str, BenchmarkRuns] = Field(min_length=1)


class SuiteOptions(Strict):
    recipe: str = Field("benchmark", description="of conf/finetune; benchmark_tfidf and others are baselines")


def run(root: Path, machine: Machine, arguments: list[str]) -> None:
    """Add what params.yaml does not have yet, and say what that is; a second time nothing."""
    del machine
    if len(arguments) < 2:
        raise UserError("suite: which suite, on which backbone? seedbed suite NAME BACKBONE [recipe=...]")
    name, backbone, *words = arguments
    options = SuiteOptions.parse_words(words, f"suite {name}")
    known = sorted(path.stem for path in (root / "conf/suite").glob("*.yaml"))
    if name not in known:
        raise UserError(f"suite {name}: no conf/suite/{name}.yaml; known: {', '.join(known) or 'none'}")
    path = root / "conf/suite" / f"{name}.yaml"
    suite = Suite.parse(load_yaml(path), where=str(path))
    text = (root / PARAMS).read_text(encoding="utf-8")
    lines_of(suite, backbone, options.recipe)  # a bad name is told before anything is composed
    refused = refusals(root, suite, backbone, options.recipe)
    added: list[str] = []
    kept = {one: runs for one, runs in suite.benchmarks.items() if one not in refused}
    for verb, lines in lines_of(
        suite.model_copy(update={"benchmarks": kept}), backbone, options.recipe
    ).items():
        present = load_yaml(root / PARAMS).get(verb) or {}
        new = {run: line for run, line in lines.items() if run not in present}
        text = inserted(text, verb, list(new.values()))
        added += [f"{verb} {run}" for run in new]
    if added:
        write_atomically(root / PARAMS, text.encode())
    for reason in refused.values():
        print(f"suite {name}: left out: {reason}")
    print(f"suite {name}: {len(added)} runs into {PARAMS}{': ' + ', '.join(added) if added else ''}")


def refusals(root: Path, suite: Suite, backbone: str, recipe: str) -> dict[str, str]:
    """The benchmarks that the recipe cannot take, each with the reason; UserError where it can take none."""
    from seedbed.stages.compose import compose_run
    from seedbed.tasks import FinetuneRecipe

    refused: dict[str, str] = {}
    for name, one in suite.benchmarks.items():
        try:
            links = {"backbone": backbone, "corpus": one.corpus, "task": one.task}
            FinetuneRecipe.parse(compose_run(root, "finetune", recipe, links, {}), f"{recipe} on {name}")
        except UserError as error:
            refused[name] = str(error)
            if len(refused) == len(suite.benchmarks):
                raise
    return refused


def lines_of(suite: Suite, backbone: str, recipe: str) -> dict[str, dict[str, str]]:
    """The lines of params.yaml by verb and run."""
    lines: dict[str, dict[str, str]] = {"fetch": {}, "preprocess": {}, "finetune": {}}
    baseline = recipe.removeprefix("benchmark").lstrip("_")
    for name, one in suite.benchmarks.items():
        of = f"{backbone}-{name}" if not baseline else f"{backbone}-{name}-{baseline}"
        if not RUN_NAME.fullmatch(of):
            raise UserError(f"suite: {of!r} is no name of a run; give a backbone of params.yaml")
        lines["fetch"][one.source] = f"{one.source}: {{}}"
        lines["preprocess"][one.corpus] = f"{one.corpus}: {{source: {one.source}}}"
        lines["finetune"][of] = (
            f"{of}: {{recipe: {recipe}, backbone: {backbone}, corpus: {one.corpus}, task: {one.task}, "
            f"max_steps: {one.max_steps}, schedule.warmup_steps: {one.warmup_steps}}}"
        )
    return lines


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
    last = end
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " #"):
        end += 1
        last = end if lines[end - 1].startswith(" ") else last
    return "\n".join([*lines[:last], *(f"  {line}" for line in new), *lines[last:]])
