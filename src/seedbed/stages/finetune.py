"""finetune: a backbone with a head on a task, once for each seed; models and their predictions on valid."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed import metrics
from seedbed.config import UserError
from seedbed.models import layer_depths
from seedbed.tasks import Example, FinetuneRecipe, Task, TaskFacts, TfidfConfig
from seedbed.tasks.card import describe
from seedbed.tasks.classification import label_table
from seedbed.tasks.encoded import ExamplePresentations
from seedbed.tasks.examples import training_examples
from seedbed.tasks.network import NetworkConfig
from seedbed.tasks.prediction import predict, seed_folder, write_facts
from seedbed.tasks.seeds import Sources, summarise
from seedbed.tokenization import copy_tokenizer, load_tokenizer, set_threads
from seedbed.tracking import Run, open_run
from seedbed.training.curves import write_curves
from seedbed.workspace import Workspace, write_json

if TYPE_CHECKING:
    import polars

OnValid = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Fitted:
    """One seed's result; `save` writes its model into a folder."""

    metrics: dict[str, float]
    curves: Iterable[tuple[int, str, float]]
    valid: "polars.DataFrame"
    save: Callable[[Path], None]


def inputs(recipe: FinetuneRecipe) -> list[tuple[str, str]]:
    """The artifacts this stage reads."""
    return [("pretrain", recipe.backbone), ("preprocess", recipe.corpus)]


def run(workspace: Workspace, recipe: FinetuneRecipe, *, on_valid: OnValid | None = None) -> None:
    """Train every seed, then publish them together. `on_valid(step, metrics)` is told each validation."""
    import polars

    set_threads(workspace.machine.threads)
    backbone = workspace.input("pretrain", recipe.backbone)
    task: Task[Any] = recipe.task
    facts, train, valid = training_examples(task, workspace.input("preprocess", recipe.corpus))
    fitted: dict[int, Fitted] = {}
    with open_run(workspace) as tracker:
        tracker.log_metrics({"examples/train": len(train), "examples/valid": len(valid)})
        for seed, sources in recipe.sources.items():
            with tracker.child(f"seed-{seed}") as child:
                if recipe.separate_seeds is not None:
                    child.log_params({"head_seed": sources.head, "order_seed": sources.order})
                match recipe.classifier:
                    case TfidfConfig():
                        fitted[seed] = _fit_tfidf(
                            task, recipe.classifier, facts, train, valid, backbone=backbone, seed=seed
                        )
                        child.log_metrics(fitted[seed].metrics)
                    case NetworkConfig():
                        fitted[seed] = _fit_network(
                            workspace, recipe, recipe.classifier, facts, train, valid,
                            backbone=backbone, seed=seed, sources=sources, tracker=child, on_valid=on_valid,
                        )  # fmt: skip
        summary = summarise({seed: result.metrics for seed, result in fitted.items()}, recipe.sources)
        tracker.log_metrics(summary)
        with workspace.publish() as out:
            for seed, result in fitted.items():
                result.save(seed_folder(out, seed))
            write_facts(out, facts)
            polars.concat([result.valid for result in fitted.values()]).write_parquet(
                out / "predictions.parquet"
            )
            write_json(out / "metrics.json", summary)
            describe(out, workspace, recipe, facts, summary, counts=(len(train), len(valid)))
            write_curves(out / "curves.csv", {f"seed-{seed}": f.curves for seed, f in fitted.items()})


def _fit_network(
    workspace: Workspace,
    recipe: FinetuneRecipe,
    classifier: NetworkConfig,
    facts: TaskFacts,
    train_examples: list[Any],
    valid_examples: list[Any],
    *,
    backbone: Path,
    seed: int,
    sources: Sources,
    tracker: Run,
    on_valid: OnValid | None,
) -> Fitted:
    from seedbed.training.trainer import train

    task: Task[Any] = recipe.task
    network = classifier.network(backbone, task.head, num_outputs=task.num_outputs(facts), seed=sources.head)
    learner = classifier.learner(network, task)
    task.weigh(learner.of_task, train_examples, facts)
    positions = classifier.positions(network)
    if positions is not None and recipe.max_length > positions:
        raise UserError(
            f"finetune {workspace.run}: max_length {recipe.max_length}, but backbone {recipe.backbone} has "
            f"{positions} positions; lower max_length"
        )
    encoded = [
        classifier.encode(network, task, examples, backbone, facts=facts, max_length=recipe.max_length)
        for examples in (train_examples, valid_examples)
    ]
    cut = {split: len(rows.cut) for split, rows in zip(("train", "valid"), encoded, strict=True)}
    tracker.log_metrics({f"examples/{split}_cut": count for split, count in cut.items()})
    if any(cut.values()) and seed == recipe.seeds[0] and workspace.rank == 0:
        print(
            f"finetune {workspace.run}: {task.cut_by(recipe.max_length)} cuts {cut['train']:,} of "
            f"{len(train_examples):,} train and {cut['valid']:,} of {len(valid_examples):,} valid examples",
            flush=True,
        )
    trained = train(
        learner,
        data=ExamplePresentations(
            encoded[0],
            global_batch_size=recipe.global_batch_size,
            seed=sources.order,
            arrange=classifier.arrange,
        ),
        valid=encoded[1].batches,
        recipe=recipe.model_copy(update={"seed": sources.order}),
        example_tokens=recipe.max_length,
        machine=workspace.machine,
        scratch=seed_folder(workspace.scratch, seed),
        tracker=tracker,
        label=f"finetune {workspace.run} seed {seed}",
        on_valid=on_valid,
        depths=layer_depths(learner),
    )
    classifier.finish(network)
    outputs = predict(learner, encoded[1], precision=recipe.precision)
    frame = task.table(seed, valid_examples, encoded[1], outputs, facts)
    official = {f"valid/{name}": value for name, value in task.scores(frame, facts).items()}
    tracker.log_metrics(official)

    def save(folder: Path) -> None:
        classifier.save(folder, network, labels=facts.labels or None)
        classifier.copy_tokenizer(backbone, folder)

    return Fitted(trained.metrics | official, trained.curves, frame, save)


def _fit_tfidf(
    task: Task[Any],
    config: TfidfConfig,
    facts: TaskFacts,
    train: list[Example],
    valid: list[Example],
    *,
    backbone: Path,
    seed: int,
) -> Fitted:
    tokenizer = load_tokenizer(backbone)
    model = config.fit(train, tokenizer, num_labels=len(facts.labels))
    found_NC = model.probabilities(valid, tokenizer)
    labels_N = np.array([example.label for example in valid])
    confusion_CC = metrics.confusion_matrix(labels_N, found_NC.argmax(1), num_classes=len(facts.labels))
    scores = {
        "valid/loss": float(-np.log(np.maximum(found_NC[np.arange(len(valid)), labels_N], 1e-300)).mean()),
        "valid/accuracy": metrics.accuracy(labels_N, found_NC.argmax(1)),
        "valid/macro_f1": float(metrics.precision_recall_f1(confusion_CC, average="macro")[2]),
    }
    frame = label_table(seed, valid, found_NC)
    scores |= {f"valid/{name}": value for name, value in task.scores(frame, facts).items()}

    def save(folder: Path) -> None:
        model.save(folder)
        copy_tokenizer(backbone, folder)

    return Fitted(scores, [(0, name, value) for name, value in scores.items()], frame, save)
