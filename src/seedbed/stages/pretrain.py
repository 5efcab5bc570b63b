"""pretrain: token shards to an encoder or decoder in the Hugging Face layout, with metrics and curves."""

from collections.abc import Iterator
from pathlib import Path

from seedbed.data.packing import PackedRows
from seedbed.data.randomness import derive_seed
from seedbed.data.row_lengths import RowsByStep, stretches
from seedbed.data.shards import TokenStore
from seedbed.learner import Batch
from seedbed.objectives import PretrainRecipe
from seedbed.objectives.card import describe
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


def open_rows(
    recipe: PretrainRecipe,
    folder: Path,
    vocabulary: Vocabulary,
    split: str,
    *,
    length: int | None = None,
    stretch: int = 0,
) -> PackedRows:
    """The rows of a split of a tokenize run's folder, as the recipe presents them in one of its stretches.

    They have the network's length unless another is given.
    """
    return PackedRows(
        recipe.rows.build(
            TokenStore.open(folder, split),
            max_length=recipe.network.max_length if length is None else length,
            vocabulary=vocabulary,
        ),
        masks=recipe.masks,
        # the draws of one stretch tell nothing of another's
        seed=derive_seed(recipe.seed, f"stretch {stretch}") if stretch else recipe.seed,
        prepare=recipe.objective.prepare(vocabulary),
    )


def open_steps(recipe: PretrainRecipe, folder: Path, vocabulary: Vocabulary) -> RowsByStep:
    """What the steps of the run present, in rows as long as the recipe says for each."""
    found = stretches(recipe.row_lengths, max_steps=recipe.max_steps, longest=recipe.network.max_length)
    parts = [
        (one, open_rows(recipe, folder, vocabulary, "train", length=one.length, stretch=number))
        for number, one in enumerate(found)
    ]
    return RowsByStep(parts, global_batch_size=recipe.global_batch_size)


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
    data = open_steps(recipe, folder, vocabulary)
    last, rows = data.parts[-1]
    valid_rows = open_rows(recipe, folder, vocabulary, "valid", length=last.length)
    batch_size = max(1, VALID_BATCH_TOKENS // last.length)

    def valid() -> Iterator[Batch]:
        return valid_rows.batches(batch_size, max_rows=recipe.max_valid_rows)

    with open_run(workspace) as tracker:
        # of the last stretch, where there are several
        tracker.log_metrics(
            {
                "tokens/train_rows": rows.num_rows,
                "tokens/left_out": rows.num_dropped_tokens,
                "tokens/padding_share": rows.num_padding / (rows.num_rows * last.length),
                "tokens/epochs": data.num_epochs,
            }
        )
        trained = train(
            learner,
            data=data,
            valid=valid,
            recipe=recipe,
            example_tokens=max(stretch.length for stretch, _ in data.parts),
            tokens_at=data.length,
            machine=workspace.machine,
            scratch=workspace.scratch,
            tracker=tracker,
            label=f"pretrain {workspace.run}",
        )
        with workspace.publish() as out:
            learner.save(out)
            # beside each network: an ELECTRA's generator is a masked LM of its own, and can be gone on from
            for config in sorted(out.rglob("config.json")):
                copy_tokenizer(folder / "tokenizer", config.parent, max_length=length)
            write_json(out / "metrics.json", trained.metrics)
            describe(
                out, workspace, recipe, learner, data, trained.metrics, num_valid_rows=valid_rows.num_rows
            )
            write_curves(out / "curves.csv", {"": trained.curves})
