"""The command line: seedbed VERB [RUN] [key=value ...]."""

import argparse
import errno
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed import __version__
from seedbed.config import MACHINE_VARIABLE, Interrupted, Machine, UserError, load_machine, rank_and_world
from seedbed.process import Stopped, keep_freed_memory, limit_threads, stopping

if TYPE_CHECKING:
    from seedbed.recipes import Lock

INTERRUPTED_EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: the same command continues the run
TRAINING_VERBS = ("pretrain", "finetune", "forecast")
PRINTING_VERBS = ("generate", "score", "plan", "predict", "serve", "suite")
"""Verbs that write no artifact and no scratch: they print what they find, or what they wrote."""
SUMMARY = {
    "compose": "params.yaml and conf/ into params.lock.yaml",
    "fetch": "get a source into data/raw/",
    "preprocess": "normalise, filter, deduplicate and split a corpus into data/clean/",
    "tokenize": "train a tokenizer and write token shards into data/tokens/",
    "pretrain": "pretrain an encoder or a decoder into models/pretrain/",
    "finetune": "fine-tune on a task, several seeds, into models/finetune/",
    "forecast": "train forecasters on a panel into models/forecast/",
    "evaluate": "open the test splits once and write reports/",
    "tune": "search settings of a fine-tuning run on its valid split",
    "plan": "what a pretraining run will take here, from a short probe, and what it took",
    "generate": "continue a prompt with a pretrained decoder",
    "predict": "labels and probabilities for a file of texts, by a fine-tuned run",
    "serve": "a fine-tuned run behind HTTP",
    "score": "perplexity and last words of a text file by a pretrained decoder",
    "suite": "write a suite's benchmarks on a backbone into params.yaml",
    "deliver": "send what tracking could not deliver earlier",
}


def parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {verb:<11} {text}" for verb, text in SUMMARY.items())
    result = argparse.ArgumentParser(
        prog="seedbed",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Text encoders and forecasters from raw data to evaluated models. `dvc repro` runs all.",
        epilog=f"verbs:\n{verbs}\n\nRuns are the names in params.yaml. With key=value the result goes to "
        "scratch, never into DVC's outs.\n"
        "  forecast FILE          your own series, a .csv or .parquet or a folder/ of them, in any folder\n"
        "  generate RUN PROMPT    RUN a pretrain run or a model folder, key=value for how\n"
        "  score RUN FILE         the same\n"
        "  predict RUN FILE       RUN a finetune run; so for serve RUN\n"
        "  plan RUN               the run's own keys, and probe.seconds\n"
        "The machine file is chosen by SEEDBED_MACHINE (conf/machine/). "
        "Exit codes: 0 done, 2 your input needs mending, 75 stopped and saved, run again.",
    )
    result.add_argument("verb", choices=SUMMARY, metavar="VERB")
    result.add_argument("arguments", nargs="*", metavar="[RUN] [key=value ...]")
    result.add_argument("--version", action="version", version=f"seedbed {__version__}")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; every fault the user can mend is one line and exit code 2."""
    arguments = parser().parse_args(argv)
    # a stage that does not train is left to finish when the pipeline's USR1 asks those that train to stop
    signals = [signal.SIGTERM, *([signal.SIGUSR1] if arguments.verb in (*TRAINING_VERBS, "tune") else [])]
    try:
        with stopping(*signals):
            _dispatch(arguments.verb, arguments.arguments)
    except UserError as error:
        print(f"seedbed: {error}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        print(f"seedbed: {stop}; run the same command to continue", file=sys.stderr)
        return INTERRUPTED_EXIT_CODE
    except Stopped:
        what = " ".join([arguments.verb, *arguments.arguments[:1]])
        print(
            f"seedbed: {what}: stopped on request, nothing half is left; run the same command to continue",
            file=sys.stderr,
        )
        return INTERRUPTED_EXIT_CODE
    except KeyboardInterrupt:
        print(
            "seedbed: interrupted; run the same command to continue from the last checkpoint, if any",
            file=sys.stderr,
        )
        return 130
    except OSError as error:
        print(f"seedbed: {_describe_os_error(error)}", file=sys.stderr)
        return 2
    return 0


def _describe_os_error(error: OSError) -> str:
    what = {
        errno.ENOSPC: "the disk is full; free some space",
        errno.EDQUOT: "the disk quota is used up; free some space",
        errno.EACCES: "no permission; make the folder writable or choose another scratch in the machine file",
        errno.ENOENT: "no such file or folder; make it, or correct its place in the machine file",
        errno.EROFS: "the file system is read-only; choose a writable folder",
    }.get(error.errno or 0, error.strerror or str(error))
    return f"{error.filename or 'input/output'}: {what}; then run the same command, nothing finished is lost"


def _dispatch(verb: str, arguments: list[str]) -> None:
    root = Path.cwd()
    file = verb == "forecast" and bool(arguments) and _is_file(arguments[0])
    if verb == "forecast" and arguments and not file:
        _check_no_file(root, arguments[0])
    # a user's own file needs no project around it
    bare = file and MACHINE_VARIABLE not in os.environ and not (root / "conf" / "machine").is_dir()
    machine = Machine() if bare else load_machine(root)
    limit_threads(machine.threads, spin=machine.spin)
    keep_freed_memory()
    if verb == "compose":
        _no_more(verb, arguments)
        import_module("seedbed.stages.compose").run(root)
        return
    if verb == "deliver":
        _no_more(verb, arguments)
        count = import_module("seedbed.tracking").deliver_all(root / machine.scratch, machine.tracking_uri)
        print(f"deliver: {count} journals are in {machine.tracking_uri}")
        return
    if file:
        import_module("seedbed.stages.forecast_file").run(root, machine, arguments)
        return
    if verb in PRINTING_VERBS:
        import_module(f"seedbed.stages.{verb}").run(root, machine, arguments)
        return
    run = "report"
    if verb != "evaluate":
        if not arguments or "=" in arguments[0]:
            raise UserError(
                f"{verb}: which run? give a name of params.yaml: seedbed {verb} RUN [key=value ...]"
            )
        run, arguments = arguments[0], arguments[1:]
    _run(root, machine, verb, run, arguments)


def _is_file(argument: str) -> bool:
    """A file of series, or a folder of them: written with a slash, for runs have names without one."""
    return argument.lower().endswith((".csv", ".parquet")) or "/" in argument


def _check_no_file(root: Path, argument: str) -> None:
    """A run's name, and not a file that was meant to be one of series."""
    path = root / argument
    if path.is_file():
        raise UserError(f"forecast {argument}: series come as .csv or .parquet; convert it")
    # a folder of the project may bear the name of a run
    if path.is_dir() and not (root / "params.yaml").is_file():
        raise UserError(f"forecast {argument}: a folder of files is written with a slash, {argument}/")


def _run(root: Path, machine: Machine, verb: str, run: str, overrides: list[str]) -> None:
    from seedbed.recipes import flatten, load_lock
    from seedbed.workspace import Workspace, artifact, identify

    lock = load_lock(root)
    if overrides:
        lock = import_module("seedbed.stages.compose").compose_with_overrides(
            root, lock, verb, run, overrides
        )
    recipe = _recipe(lock, verb, run)
    stage = import_module(f"seedbed.stages.{verb}")
    rank, world = rank_and_world()
    if verb in TRAINING_VERBS and machine.world_size > 1 and world == 1:
        _launch(machine, verb, run, overrides)
    needs = stage.inputs(recipe, lock) if verb in ("evaluate", "tune") else stage.inputs(recipe)
    paths = {f"{v}/{r}": artifact(root, v, r) for v, r in needs}
    fingerprint, scratch = identify(root, machine, verb, run, _identity(lock, verb, recipe), paths)
    workspace = Workspace(
        root=root,
        verb=verb,
        run=run,
        machine=machine,
        out=scratch / "out" if overrides else artifact(root, verb, run),
        scratch=scratch,
        fingerprint=fingerprint,
        lock_digest=lock.digest,
        flat_recipe=flatten(recipe.model_dump(mode="json")),
        inputs=paths,
        rank=rank,
    )
    started = time.monotonic()
    with workspace.exclusive():
        if verb in ("evaluate", "tune"):
            stage.run(workspace, recipe, lock)
        else:
            stage.run(workspace, recipe)
        if rank == 0:
            (scratch / "DONE").touch()
    if world > 1:
        import_module("seedbed.training.ranks").leave_process_group()
    if rank == 0:
        _report(workspace.out.relative_to(root), verb, run, time.monotonic() - started)


def _recipe(lock: "Lock", verb: str, run: str) -> Any:
    if verb == "evaluate":
        return lock.evaluate
    runs = getattr(lock, verb)
    if run not in runs:
        raise UserError(
            f"{verb} {run}: no such run; known: {', '.join(runs) or 'none'}; add it to params.yaml"
        )
    return runs[run]


def _identity(lock: "Lock", verb: str, recipe: Any) -> Any:
    """What of the lock decides this run's result; the verbs that read other branches name them."""
    if verb == "evaluate":
        return lock.model_dump(mode="json", exclude={"digest", "tune"})
    if verb == "tune":
        return [recipe.model_dump(mode="json"), lock.finetune[recipe.finetune].model_dump(mode="json")]
    return recipe.model_dump(mode="json")


def _launch(machine: Machine, verb: str, run: str, overrides: list[str]) -> None:
    """Replace this process by one process per device: torchrun here, srun inside a Slurm job."""
    seedbed = [sys.executable, "-m", "seedbed", verb, run, *overrides]
    if machine.launcher == "slurm":
        if "SLURM_JOB_ID" not in os.environ:
            raise UserError(
                "machine file: launcher slurm, but this is no Slurm job; submit jobs/seedbed.sbatch"
            )
        os.execvp(
            "srun",
            ["srun", f"--ntasks={machine.world_size}", f"--ntasks-per-node={machine.devices}",
             "--kill-on-bad-exit=1", *seedbed],
        )  # fmt: skip
    if machine.num_nodes > 1:
        raise UserError(
            "machine file: num_nodes above 1 needs launcher: slurm, or torchrun started by hand on each node "
            "(docs/cluster.md); set it, use one node, or start torchrun"
        )
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={machine.devices}"]
    os.execv(sys.executable, [sys.executable, *torchrun, *seedbed[1:]])


def _report(out: Path, verb: str, run: str, seconds: float) -> None:
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{verb} {run}: {out} in {seconds:.1f} s, peak memory {gigabytes:.2f} GB")


def _no_more(verb: str, arguments: list[str]) -> None:
    if arguments:
        raise UserError(f"{verb}: takes no more arguments, got {arguments[0]!r}; change params.yaml or conf/")


if __name__ == "__main__":
    sys.exit(main())
