"""plan: seedbed plan RUN [key=value ...], what a pretraining run will take on this machine, and has taken."""

from pathlib import Path

import numpy as np
from pydantic import Field

from seedbed.config import Machine, Strict, UserError
from seedbed.evaluation.intervals import Estimate, bootstrap, estimates
from seedbed.objectives import PretrainRecipe
from seedbed.stages import pretrain
from seedbed.stages.pretrain import open_rows
from seedbed.tokenization import Vocabulary
from seedbed.training.elapsed import Elapsed, read_elapsed
from seedbed.training.probe import Probe, probe
from seedbed.workspace import artifact, identify

PREFIX = "probe."


class ProbeOptions(Strict):
    """How long the machine is tried."""

    seconds: float = Field(10.0, gt=0, le=600)
    confidence: float = Field(0.95, gt=0.5, lt=1)


def run(root: Path, machine: Machine, arguments: list[str]) -> None:
    """Print parameters, FLOP, memory, tokens, speed and hours; beside them what a run under way has taken."""
    from seedbed.recipes import load_lock
    from seedbed.stages.compose import compose_with_overrides

    if not arguments or "=" in arguments[0]:
        raise UserError("plan: which run? seedbed plan RUN [key=value ...]")
    name, words = arguments[0], arguments[1:]
    own = [word.removeprefix(PREFIX) for word in words if word.startswith(PREFIX)]
    options = ProbeOptions.parse_words(own, f"plan {name}: probe")
    overrides = [word for word in words if not word.startswith(PREFIX)]
    lock = load_lock(root)
    if overrides:
        lock = compose_with_overrides(root, lock, "pretrain", name, overrides)
    if name not in lock.pretrain:
        known = ", ".join(lock.pretrain) or "none"
        raise UserError(f"plan {name}: no such pretrain run; known: {known}; add it to params.yaml")
    recipe = lock.pretrain[name]
    folder = artifact(root, "tokenize", recipe.tokens)
    if not folder.is_dir():
        raise UserError(
            f"plan {name}: no {folder.relative_to(root)} yet; make it: dvc repro tokenize@{recipe.tokens}"
        )
    vocabulary = Vocabulary.load(folder / "tokenizer")
    inputs = {f"{verb}/{run}": artifact(root, verb, run) for verb, run in pretrain.inputs(recipe)}
    _, scratch = identify(root, machine, "pretrain", name, recipe.model_dump(mode="json"), inputs)

    def place(run: str) -> Path:
        return inputs[f"pretrain/{run}"]

    recipe = recipe.resolve(place)
    rows = open_rows(recipe, folder, vocabulary, "train")
    learner = recipe.begin(vocabulary, place=place, tokenizer_folder=folder / "tokenizer")
    num_parameters = sum(parameter.numel() for parameter in learner.parameters())
    found = probe(
        learner,
        data=rows,
        recipe=recipe,
        example_tokens=recipe.network.max_length,
        machine=machine,
        label=f"plan {name}",
        seconds=options.seconds,
    )
    lines = describe(
        recipe,
        found,
        num_parameters=num_parameters,
        num_rows=rows.num_rows,
        machine=machine,
        confidence=options.confidence,
    )
    print(f"plan of {name}: {machine.world_size} x {machine.accelerator}, {machine.threads} threads each")
    print("\n".join(lines + happened(recipe, found, read_elapsed(scratch / "checkpoints"))))


def describe(
    recipe: PretrainRecipe,
    found: Probe,
    *,
    num_parameters: int,
    num_rows: int,
    machine: Machine,
    confidence: float,
) -> list[str]:
    """The plan, a line for each fact."""
    length, batch = recipe.network.max_length, recipe.global_batch_size
    tokens, steps = batch * length, recipe.max_steps
    step = step_seconds(found, confidence=confidence)
    speed = f"{tokens / step.value:,.0f} tokens/s [{tokens / step.high:,.0f}, {tokens / step.low:,.0f}]"
    hours = [steps * seconds / 3600 for seconds in (step.value, step.low, step.high)]
    memory = {
        "weights": found.weight_bytes,
        "gradients": found.gradient_bytes,
        "optimizer": found.optimizer_bytes,
        "activations of a micro-batch": found.activation_bytes,
    }
    parts = ", ".join(f"{name} {size / 2**20:,.1f}" for name, size in memory.items())
    joules = found.joules
    energy = (
        "not known: no meter of this machine can be read"
        if joules is None
        else f"{joules * steps / 3.6e6:.3g} kWh of the processor, {joules:.3g} J a step"
    )
    shorter = [f"{one.tokens} in {one.share:.0%} of the steps" for one in recipe.row_lengths]
    lengths = [_row("row lengths", f"{', '.join(shorter)}; counted below as {length} in all")]
    each = batch // (machine.world_size * found.num_micro_batches)
    return [
        _row("parameters", f"{num_parameters:,}"),
        _row("a step", f"{batch} rows x {length} tokens in micro-batches of {each} rows"),
        *(lengths if shorter else []),
        _row("tokens", f"{steps * tokens:,} in {steps:,} steps, {steps * batch / num_rows:.3g} epochs"),
        _row("FLOP", f"{steps * found.flops:.3g}, {found.flops / tokens:.3g} a token, products counted"),
        _row("memory (MiB)", f"{sum(memory.values()) / 2**20:,.1f}: {parts}; of one device"),
        _row("FLOP/s", f"{found.flops / step.value / 1e9:,.0f} G, {recipe.precision}"),
        _row("speed", f"{speed}, n={step.n} steps of a probe"),
        _row(
            "hours",
            f"{hours[0]:.3g} [{hours[1]:.3g}, {hours[2]:.3g}], without validation and talk between devices",
        ),
        _row("energy", energy),
    ]


def happened(recipe: PretrainRecipe, found: Probe, elapsed: Elapsed) -> list[str]:
    """What the run has taken up to its last checkpoint, beside the plan; nothing before its first."""
    if not elapsed.steps:
        return []
    step = elapsed.seconds / elapsed.steps
    planned = float(np.median(found.step_seconds))
    tokens = recipe.global_batch_size * recipe.network.max_length
    return [
        _row(
            "what happened",
            f"{elapsed.steps:,} of {recipe.max_steps:,} steps in {elapsed.seconds / 3600:.3g} hours with "
            f"validation, {tokens / step:,.0f} tokens/s, {planned / step:.0%} of the plan's speed",
        )
    ]


def step_seconds(found: Probe, *, confidence: float) -> Estimate:
    """The mean over the probe's steps, resampled."""
    seconds_N = np.array(found.step_seconds)
    n = len(seconds_N)
    draws = bootstrap(
        lambda weights_BN: (weights_BN @ seconds_N / n)[:, None, None], n, resamples=2000, seed=0
    )
    [estimate] = estimates(draws, confidence=confidence, seed=0)
    return estimate


def _row(name: str, text: str) -> str:
    return f"{name:<15}{text}"
