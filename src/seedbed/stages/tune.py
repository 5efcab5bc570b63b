"""tune: a study over a fine-tuning run's settings, on the valid split, resumable at any trial.

Trial n is a function of (seed, n, earlier results): the sampler is seeded anew for every trial and setting
(TPE, Bergstra et al. 2011), and a trial that a kill left running is continued, so a resumed study ends like
an undisturbed one.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState

from seedbed.config import UserError
from seedbed.progress import Progress
from seedbed.recipes import Lock, flatten
from seedbed.stages import finetune
from seedbed.tasks import FinetuneRecipe
from seedbed.tracking import adopting, open_run
from seedbed.tuning import Pruned, TuneRecipe
from seedbed.tuning.outcome import (
    TrialRow,
    apply,
    final_metric,
    trial_workspace,
    without_test_split,
    write_study,
)
from seedbed.tuning.space import Choice, Dimension, Interval
from seedbed.workspace import Workspace, hash_json, remove


def inputs(recipe: TuneRecipe, lock: Lock) -> list[tuple[str, str]]:
    """What the fine-tuning run reads."""
    return finetune.inputs(lock.finetune[recipe.finetune])


def run(workspace: Workspace, recipe: TuneRecipe, lock: Lock) -> None:
    """Write best.yaml (a person promotes it to conf/finetune/), trials.csv and metrics.json."""
    base = lock.finetune[recipe.finetune]
    views = without_test_split(workspace.inputs, workspace.scratch / "inputs")
    with open_run(workspace) as tracked:
        study = _open(workspace, recipe, base)
        finished = sum(trial.state.is_finished() for trial in study.trials)
        progress = Progress(f"tune {workspace.run}", recipe.num_trials, "trial", done=finished)
        fault: UserError | None = None
        while (trial := _next(study, recipe)) is not None:
            place = f"tune.{workspace.run} trial {trial.number}"
            settings = {**recipe.overrides, **_suggest(study, trial, recipe)}
            trial_recipe = type(base).parse(apply(settings, base.model_dump(mode="json"), place), place)
            flat = flatten(trial_recipe.model_dump(mode="json"))
            one = trial_workspace(workspace, views, trial.number, recipe.finetune, flat_recipe=flat)
            try:
                with tracked.child(f"trial-{trial.number}") as child, adopting(child):
                    _train(one, trial_recipe, recipe, trial)
            except Pruned:
                study.tell(trial, state=TrialState.PRUNED)
            except UserError as error:
                # A setting that cannot work (divergence, an indivisible batch) ends its trial only.
                print(f"{place} failed: {error}", file=sys.stderr)
                fault = error
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, final_metric(one.out, recipe.metric))
            remove(one.scratch)
            progress.update()
        progress.close()
        if not any(trial.state == TrialState.COMPLETE for trial in study.trials):
            last = f"; the last fault: {fault}" if fault else ""
            raise UserError(f"tune {workspace.run}: no trial came to its end{last}; change search_space")
        rows = [_row(trial) for trial in study.trials]
        tracked.log_metrics(write_study(workspace, recipe, rows, best=study.best_trial.number))


def _open(workspace: Workspace, recipe: TuneRecipe, base: FinetuneRecipe) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = workspace.scratch / "study.journal"
    # What a kill may leave: half a line, on which Optuna would stumble for ever, and a lock of nobody.
    remove(path.with_name(f"{path.name}.lock"))
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    pruning = recipe.pruning
    return optuna.create_study(
        # The name holds the fine-tuning recipe: after a change of it an old study must not go on.
        study_name=hash_json([recipe.model_dump(mode="json"), base.model_dump(mode="json")]),
        storage=JournalStorage(JournalFileBackend(str(path))),
        direction=recipe.direction,
        pruner=optuna.pruners.MedianPruner(pruning.startup_trials, pruning.warmup_steps)
        if pruning
        else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )


def _next(study: optuna.Study, recipe: TuneRecipe) -> optuna.Trial | None:
    """The trial that a dead process left running, else a fresh one, else None at the end of the study.

    The run's lock is ours, so whatever is running belongs to nobody.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        return optuna.Trial(study, trial._trial_id)
    return study.ask() if len(study.trials) < recipe.num_trials else None


def _suggest(study: optuna.Study, trial: optuna.Trial, recipe: TuneRecipe) -> dict[str, Any]:
    """The trial's settings; what a continued trial has already is kept by Optuna."""
    settings: dict[str, Any] = {}
    for key, dimension in recipe.dimensions().items():
        seed = int(hash_json([recipe.seed, trial.number, key])[:8], 16)
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        settings[key] = _suggest_one(trial, key, dimension)
    return settings


def _suggest_one(trial: optuna.Trial, key: str, dimension: Dimension) -> bool | int | float | str | None:
    if isinstance(dimension, Choice):
        return trial.suggest_categorical(key, dimension.values)
    if isinstance(dimension, Interval):
        low, high, step, log = dimension.low, dimension.high, None, dimension.log
    else:
        low, high, step, log = dimension.start, dimension.last, dimension.step, False
    if dimension.integer:
        return trial.suggest_int(key, int(low), int(high), step=int(step or 1), log=log)
    return trial.suggest_float(key, low, high, step=step, log=log)


def _train(workspace: Workspace, recipe: FinetuneRecipe, study: TuneRecipe, trial: optuna.Trial) -> None:
    """Run the ordinary stage function, asking at each validation whether to go on."""
    done = workspace.scratch / "DONE"
    reported = trial.study.trials[trial.number].intermediate_values
    if done.exists():
        return
    if reported and trial.should_prune():  # the kill fell between verdict and note
        raise Pruned
    last = max(reported, default=-1)
    told = study.pruning is None or trial.number > 0

    def on_valid(step: int, metrics: Mapping[str, float]) -> None:
        nonlocal last, told
        value = metrics.get(study.metric, metrics.get(study.metric.removeprefix("valid/")))
        if value is None and not told:
            told = True
            print(
                f"tune of {study.finetune}: {study.metric} is known when a trial has ended (validations give "
                f"{', '.join(sorted(metrics))}): none is stopped early",
                file=sys.stderr,
            )
        # Steps of a second seed begin at 0 again: pruning looks at the first seed only.
        if value is None or step <= last:
            return
        last = step
        trial.report(value, step)
        if trial.should_prune():
            raise Pruned

    finetune.run(workspace, recipe, on_valid=on_valid)
    done.touch()


def _row(trial: optuna.trial.FrozenTrial) -> TrialRow:
    value = trial.value if trial.state == TrialState.COMPLETE else None
    return TrialRow(trial.number, trial.state.name, value, len(trial.intermediate_values), trial.params)
