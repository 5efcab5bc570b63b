"""pretrain: token shards to an encoder or decoder in the Hugging Face layout, with metrics and curves."""

from collections.abc import Iterator
from pathlib import Path

from seedbed.data.packing import PackedRows
from seedbed.data.shards import TokenStore
from seedbed.learner import Batch
from seedbed.objectives import PretrainRecipe
from seedbed.tokenization import Vocabulary, copy_tokenizer
from seedbed.tracking import open_run
from seedbed.training.curves import write_curves
from seedbed.workspace import Workspace, write_json

VALID_BATCH_TOKENS = 16384
"""Tokens scored at once in validation; the scores are sums, so it changes no more than their last bits."""


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
            write_curves(out / "curves.csv", {"": trained.curves})
