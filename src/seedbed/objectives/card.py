"""What the model card of a pretrained artifact says."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.data.row_lengths import RowsByStep
from seedbed.learner import Learner
from seedbed.model_card import load_lines, write_card
from seedbed.workspace import Workspace

if TYPE_CHECKING:
    from seedbed.objectives import PretrainRecipe

CARD_ROWS = 4
"""Rows of each length whose FLOP are counted."""


def describe(
    out: Path,
    workspace: Workspace,
    recipe: "PretrainRecipe",
    learner: Learner,
    data: RowsByStep,
    metrics: Mapping[str, float],
    *,
    num_valid_rows: int,
) -> None:
    """Write the card of a pretrained artifact, whose config.json is there already."""
    from seedbed.training.probe import count_flops

    length, steps = recipe.network.max_length, recipe.max_steps
    num_rows = min(CARD_ROWS, recipe.global_batch_size)
    flops = sum(
        count_flops(learner, rows.batch(0, num_rows)) * (stretch.stop - stretch.first) / num_rows
        for stretch, rows in data.parts
    )
    written = json.loads((out / "config.json").read_text(encoding="utf-8"))
    facts: dict[str, str | int | float] = {
        "architecture": written["architectures"][0],
        "objective": recipe.objective.name,
        "parameters trained": sum(parameter.numel() for parameter in learner.parameters()),
        "rows of token embeddings": written["vocab_size"],
        "positions": length,
        "steps": steps,
        "rows a step": recipe.global_batch_size,
        "tokens seen": data.num_tokens,
        "epochs": data.num_epochs,
        "FLOP of all steps": flops * recipe.global_batch_size,
        "seed": recipe.seed,
        "precision": recipe.precision,
        "rows scored": min(recipe.max_valid_rows, num_valid_rows),
    }  # fmt: skip
    write_card(
        out,
        workspace,
        facts=facts,
        metrics={name: value for name, value in metrics.items() if name.startswith("valid/")},
        tags=[written["model_type"], recipe.objective.name],
        load=load_lines(written, f"models/pretrain/{workspace.run}"),
        limits=[
            f"It reads at most {length} tokens.",
            "It was scored on rows of the valid split alone, with one seed.",
            "FLOP are counted on the first rows as their products run, validation not among them.",
        ],
    )
