"""Around the trials of a study: their recipes and folders before, tables and best.yaml after."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from seedbed.config import UserError, load_yaml
from seedbed.tuning.recipe import TuneRecipe
from seedbed.workspace import Workspace, hash_json, remove, write_json


def apply(settings: Mapping[str, Any], tree: dict[str, Any], place: str) -> dict[str, Any]:
    """Put dotted `settings` into a recipe given as plain data, in place."""
    for dotted, value in settings.items():
        *parents, last = dotted.split(".")
        branch = tree
        for key in parents:
            inner = branch.get(key)
            if not isinstance(inner, dict):
                known = ", ".join(branch)
                raise UserError(f"{place}: {dotted}: the recipe has no part {key}; known: {known}; rename it")
            branch = inner
        branch[last] = value
    return tree


@dataclass(frozen=True)
class TrialRow:
    """One trial as the table shows it; `value` is None unless it came to its end."""

    number: int
    state: str
    value: float | None
    validations: int
    settings: Mapping[str, Any]


def write_study(
    workspace: Workspace, recipe: TuneRecipe, rows: list[TrialRow], *, best: int
) -> dict[str, float]:
    """Publish trials.csv, metrics.json and best.yaml; returns the metrics."""
    value = rows[best].value
    assert value is not None
    metrics = {recipe.metric: value, "best_trial": float(best)}
    for name, state in (("completed", "COMPLETE"), ("pruned", "PRUNED"), ("failed", "FAIL")):
        metrics[f"trials/{name}"] = float(sum(row.state == state for row in rows))
    keys = sorted(recipe.search_space)
    source = f"Trial {best} of {len(rows)} of study {workspace.run}: {recipe.metric} {value:.6g}."
    text = best_yaml(recipe, rows[best].settings, parent=_parent(workspace.root, recipe), source=source)
    with workspace.publish() as out:
        with (out / "trials.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["trial", "state", recipe.metric, "validations", *keys])
            for row in rows:
                settings = [row.settings.get(key) for key in keys]
                writer.writerow([row.number, row.state, row.value, row.validations, *settings])
        (out / "best.yaml").write_text(text, encoding="utf-8")
        write_json(out / "metrics.json", metrics)
    return metrics


def best_yaml(recipe: TuneRecipe, settings: Mapping[str, Any], *, parent: str, source: str) -> str:
    """A file for conf/finetune/: the parent recipe with the `settings` found."""
    tree: dict[str, Any] = {"defaults": [parent, "_self_"]}
    for dotted, value in sorted(settings.items()):
        *parents, last = dotted.split(".")
        branch = tree
        for key in parents:
            branch = branch.setdefault(key, {})
        branch[last] = value
    return (
        f"# {source}\n"
        f"# To promote it: copy to conf/finetune/{parent}_tuned.yaml, and in params.yaml give\n"
        f"# finetune.{recipe.finetune} the entry `recipe: {parent}_tuned`.\n"
        + yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    )


def _parent(root: Path, recipe: TuneRecipe) -> str:
    """The conf/finetune file of the run that was tuned."""
    entry = load_yaml(root / "params.yaml")["finetune"][recipe.finetune] or {}
    return str(entry.get("recipe", recipe.finetune))


def final_metric(out: Path, metric: str) -> float:
    """The metric that a trial ended with; a name that is not there is the study's fault, not the trial's."""
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    if metric not in metrics:
        known = ", ".join(sorted(key for key in metrics if key.startswith("valid/")))
        raise UserError(f"tune: metric: got {metric!r}, the trial has {known}; change it in conf/tune")
    return float(metrics[metric])


def without_test_split(inputs: Mapping[str, Path], views: Path) -> dict[str, Path]:
    """The inputs as folders of links that lack the test files: a trial cannot read what is not there."""
    found: dict[str, Path] = {}
    for name, source in inputs.items():
        view = views / name
        remove(view)
        view.mkdir(parents=True)
        for path in sorted(source.iterdir()):
            if path.name.split(".")[0] != "test":
                (view / path.name).symlink_to(path.resolve())
        found[name] = view
    return found


def trial_workspace(
    study: Workspace, views: Mapping[str, Path], number: int, name: str, *, flat_recipe: Mapping[str, str]
) -> Workspace:
    """A trial's own folders, all below the study's scratch; one process, the test split out of reach."""
    scratch = study.scratch / "trials" / f"{number:04d}"
    return replace(
        study,
        verb="finetune",
        run=f"{name}-trial_{number}",
        machine=study.machine.model_copy(update={"devices": 1, "num_nodes": 1}),
        out=scratch / "out",
        scratch=scratch,
        # The study's fingerprint holds the content of every input already.
        fingerprint=hash_json([study.fingerprint, dict(flat_recipe)])[:16],
        flat_recipe=flat_recipe,
        inputs=views,
    )
