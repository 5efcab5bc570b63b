"""finetune: a backbone with a head on a task, once for each seed; models and their predictions on valid."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedbed import metrics
from seedbed.config import UserError
from seedbed.models import layer_depths
from seedbed.tasks import (
    ElmoClassifierConfig,
    EncoderClassifierConfig,
    Example,
    FinetuneRecipe,
    TaskFacts,
    TfidfConfig,
)
from seedbed.tasks.card import describe
from seedbed.tasks.encoded import ExamplePresentations
from seedbed.tasks.examples import training_examples
from seedbed.tasks.prediction import predict, seed_folder, table, write_facts
from seedbed.tokenization import copy_tokenizer, load_tokenizer, set_threads
from seedbed.tracking import Run, open_run
from seedbed.training.curves import write_curves
from seedbed.workspace import Workspace, write_json

OnValid = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Fitted:
    """One seed's result; `save` writes its model into a folder."""

    metrics: dict[str, float]
    curves: Iterable[tuple[int, str, float]]
    probabilities_NC: npt.NDArray[np.float64]
    save: Callable[[Path], None]


def inputs(recipe: FinetuneRecipe) -> list[tuple[str, str]]:
    """The artifacts this stage reads."""
    return [("pretrain", recipe.backbone), ("preprocess", recipe.corpus)]


def run(workspace: Workspace, recipe: FinetuneRecipe, *, on_valid: OnValid | None = None) -> None:
    """Train every seed, then publish them together. `on_valid(step, metrics)` is told each validation."""
    import polars

    set_threads(workspace.machine.threads)
    backbone = workspace.input("pretrain", recipe.backbone)
    facts, train, valid = training_examples(recipe.task, workspace.input("preprocess", recipe.corpus))
    fitted: dict[int, Fitted] = {}
    with open_run(workspace) as tracker:
        tracker.log_metrics({"examples/train": len(train), "examples/valid": len(valid)})
        for seed in recipe.seeds:
            with tracker.child(f"seed-{seed}") as child:
                match recipe.classifier:
                    case TfidfConfig():
                        fitted[seed] = _fit_tfidf(recipe.classifier, facts, train, valid, backbone)
                        child.log_metrics(fitted[seed].metrics)
                    case EncoderClassifierConfig() | ElmoClassifierConfig():
                        fitted[seed] = _fit_network(
                            workspace, recipe, recipe.classifier, facts, train, valid,
                            backbone=backbone, seed=seed, tracker=child, on_valid=on_valid,
                        )  # fmt: skip
        summary = summarise({seed: result.metrics for seed, result in fitted.items()})
        tracker.log_metrics(summary)
        with workspace.publish() as out:
            for seed, result in fitted.items():
                result.save(seed_folder(out, seed))
            write_facts(out, facts)
            tables = [table(seed, valid, result.probabilities_NC) for seed, result in fitted.items()]
            polars.concat(tables).write_parquet(out / "predictions.parquet")
            write_json(out / "metrics.json", summary)
            describe(out, workspace, recipe, facts, summary, counts=(len(train), len(valid)))
            write_curves(out / "curves.csv", {f"seed-{seed}": f.curves for seed, f in fitted.items()})


def summarise(seeds: dict[int, dict[str, float]]) -> dict[str, float]:
    """Means over seeds by bare name, and each seed's own as `seed-<n>/<name>`."""
    names = next(iter(seeds.values()))
    means = {name: float(np.mean([of_seed[name] for of_seed in seeds.values()])) for name in names}
    return means | {
        f"seed-{seed}/{name}": value for seed, of_seed in seeds.items() for name, value in of_seed.items()
    }


def _fit_network(
    workspace: Workspace,
    recipe: FinetuneRecipe,
    classifier: EncoderClassifierConfig | ElmoClassifierConfig,
    facts: TaskFacts,
    train_examples: list[Example],
    valid_examples: list[Example],
    *,
    backbone: Path,
    seed: int,
    tracker: Run,
    on_valid: OnValid | None,
) -> Fitted:
    from seedbed.training.trainer import train

    learner = classifier.build(backbone, num_labels=len(facts.labels), seed=seed)
    positions = learner.max_length
    if positions is not None and recipe.max_length > positions:
        raise UserError(
            f"finetune {workspace.run}: max_length {recipe.max_length}, but backbone {recipe.backbone} has "
            f"{positions} positions; lower max_length"
        )
    encoded = [
        learner.encode(examples, backbone, max_length=recipe.max_length)
        for examples in (train_examples, valid_examples)
    ]
    trained = train(
        learner,
        data=ExamplePresentations(encoded[0], global_batch_size=recipe.global_batch_size, seed=seed),
        valid=encoded[1].batches,
        recipe=recipe.model_copy(update={"seed": seed}),
        example_tokens=recipe.max_length,
        machine=workspace.machine,
        scratch=seed_folder(workspace.scratch, seed),
        tracker=tracker,
        label=f"finetune {workspace.run} seed {seed}",
        on_valid=on_valid,
        depths=layer_depths(learner),
    )
    found_NC = predict(learner, encoded[1], precision=recipe.precision)

    def save(folder: Path) -> None:
        learner.save(folder, facts.labels)
        copy_tokenizer(backbone, folder)

    return Fitted(trained.metrics, trained.curves, found_NC, save)


def _fit_tfidf(
    config: TfidfConfig, facts: TaskFacts, train: list[Example], valid: list[Example], backbone: Path
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

    def save(folder: Path) -> None:
        model.save(folder)
        copy_tokenizer(backbone, folder)

    return Fitted(scores, [(0, name, value) for name, value in scores.items()], found_NC, save)
