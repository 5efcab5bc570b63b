"""pretrain: token shards to an encoder or decoder in the Hugging Face layout, with metrics and curves."""

import json
from collections.abc import Iterator
from pathlib import Path

from seedbed.data.packing import PackedRows
from seedbed.data.shards import TokenStore
from seedbed.learner import Batch, Learner
from seedbed.model_card import load_lines, write_card
from seedbed.objectives import PretrainRecipe
from seedbed.tokenization import Vocabulary, copy_tokenizer
from seedbed.tracking import open_run
from seedbed.training.curves import write_curves
from seedbed.workspace import Workspace, write_json

VALID_BATCH_TOKENS = 16384
"""Tokens scored at once in validation; the scores are sums, so it changes no more than their last bits."""
CARD_ROWS = 4
"""Rows whose FLOP are counted; all rows are of one length."""


def inputs(recipe: PretrainRecipe) -> list[tuple[str, str]]:
    """The artifacts this stage reads, and the folders it starts from."""
    folders = [] if recipe.start is None else recipe.start.folders
    return [("tokenize", recipe.tokens), *(("pretrain", folder) for folder in folders)]


def open_rows(recipe: PretrainRecipe, folder: Path, vocabulary: Vocabulary, split: str) -> PackedRows:
    """The rows of a split of a tokenize run's folder, as the recipe presents them."""
    return PackedRows(
        recipe.rows.build(
            TokenStore.open(folder, split), max_length=recipe.network.max_length, vocabulary=vocabulary
        ),
        masks=recipe.masks,
        seed=recipe.seed,
        prepare=recipe.objective.prepare(vocabulary),
    )


def run(workspace: Workspace, recipe: PretrainRecipe) -> None:
    """Train, then publish weights, tokenizer, metrics and curves in one rename."""
    from seedbed.training.trainer import train

    folder = workspace.input("tokenize", recipe.tokens)
    vocabulary = Vocabulary.load(folder / "tokenizer")

    def place(name: str) -> Path:
        return workspace.input("pretrain", name)

    recipe = recipe.resolve(place)
    learner = recipe.begin(vocabulary, place=place, tokenizer_folder=folder / "tokenizer")
    length = recipe.network.max_length
    rows = {split: open_rows(recipe, folder, vocabulary, split) for split in ("train", "valid")}
    batch_size = max(1, VALID_BATCH_TOKENS // length)

    def valid() -> Iterator[Batch]:
        return rows["valid"].batches(batch_size, max_rows=recipe.max_valid_rows)

    with open_run(workspace) as tracker:
        tracker.log_metrics(
            {
                "tokens/train_rows": rows["train"].num_rows,
                "tokens/left_out": rows["train"].num_dropped_tokens,
                "tokens/padding_share": rows["train"].num_padding / (rows["train"].num_rows * length),
                "tokens/epochs": recipe.max_steps * recipe.global_batch_size / rows["train"].num_rows,
            }
        )
        trained = train(
            learner,
            data=rows["train"],
            valid=valid,
            recipe=recipe,
            example_tokens=length,
            machine=workspace.machine,
            scratch=workspace.scratch,
            tracker=tracker,
            label=f"pretrain {workspace.run}",
        )
        with workspace.publish() as out:
            learner.save(out)
            copy_tokenizer(folder / "tokenizer", out, max_length=length)
            write_json(out / "metrics.json", trained.metrics)
            _describe(workspace, recipe, learner, rows, vocabulary, trained.metrics, out)
            write_curves(out / "curves.csv", {"": trained.curves})


def _describe(
    workspace: Workspace,
    recipe: PretrainRecipe,
    learner: Learner,
    rows: dict[str, PackedRows],
    vocabulary: Vocabulary,
    metrics: dict[str, float],
    out: Path,
) -> None:
    """Write the model card."""
    from seedbed.training.probe import count_flops

    length, steps = recipe.network.max_length, recipe.max_steps
    num_rows = min(CARD_ROWS, recipe.global_batch_size)
    flops = count_flops(learner, rows["train"].batch(0, num_rows)) / num_rows
    written = json.loads((out / "config.json").read_text(encoding="utf-8"))
    facts: dict[str, str | int | float] = {
        "architecture": written["architectures"][0],
        "objective": recipe.objective.name,
        "parameters trained": sum(parameter.numel() for parameter in learner.parameters()),
        "tokens in the vocabulary": vocabulary.size,
        "positions": length,
        "steps": steps,
        "rows a step": recipe.global_batch_size,
        "tokens seen": steps * recipe.global_batch_size * length - round(
            steps * recipe.global_batch_size * rows["train"].num_padding / rows["train"].num_rows
        ),
        "epochs": steps * recipe.global_batch_size / rows["train"].num_rows,
        "FLOP of all steps": flops * steps * recipe.global_batch_size,
        "seed": recipe.seed,
        "precision": recipe.precision,
        "rows scored": min(recipe.max_valid_rows, rows["valid"].num_rows),
    }  # fmt: skip
    write_card(
        out,
        workspace,
        facts=facts,
        metrics={name: value for name, value in metrics.items() if name.startswith("valid/")},
        tags=[written["model_type"], recipe.objective.name],
        load=load_lines(written["architectures"][0], f"models/pretrain/{workspace.run}"),
        limits=[
            f"It reads at most {length} tokens.",
            "It was scored on rows of the valid split alone, with one seed.",
            "FLOP are counted on the first rows as their products run, validation not among them.",
        ],
    )
