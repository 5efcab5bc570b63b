"""What the model card of a fine-tuned artifact says."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.model_card import load_lines, write_card
from seedbed.tasks.examples import TaskFacts
from seedbed.tasks.network import NetworkConfig
from seedbed.tasks.prediction import seed_folder
from seedbed.workspace import Workspace

if TYPE_CHECKING:
    from seedbed.tasks import FinetuneRecipe


def describe(
    out: Path,
    workspace: Workspace,
    recipe: "FinetuneRecipe",
    facts: TaskFacts,
    metrics: Mapping[str, float],
    *,
    counts: tuple[int, int],
) -> None:
    """Write the card of a fine-tuned artifact; `counts` are its examples of train and valid."""
    first = seed_folder(out, recipe.seeds[0])
    config = first / "config.json"
    written = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    place = f"models/finetune/{workspace.run}/{first.name}"
    told: dict[str, str | int] = {"classifier": recipe.classifier.name}
    limits = [
        f"The results are of the valid split, means over {len(recipe.seeds)} seeds and each seed's own."
    ]
    if written:
        told = {"architecture": written["architectures"][0]}
    if isinstance(recipe.classifier, NetworkConfig):
        told |= {
            "steps": recipe.max_steps,
            "examples a step": recipe.global_batch_size,
            "precision": recipe.precision,
        }
        limits.insert(0, f"It reads at most {recipe.max_length} tokens at once.")
    told["task"] = recipe.task.name
    if facts.labels:
        told["labels"] = ", ".join(facts.labels)
    write_card(
        out,
        workspace,
        facts=told
        | {
            "seeds, a model each": ", ".join(map(str, recipe.seeds)),
            "examples, train": counts[0],
            "examples, valid": counts[1],
        },
        metrics=metrics,
        tags=[recipe.task.hub_tag, recipe.task.name],
        load=load_lines(written, place) if written else "",
        limits=limits,
    )
