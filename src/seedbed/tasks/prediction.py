"""What a fine-tuned artifact says about examples: the table of its task, for every seed."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from seedbed.config import UserError
from seedbed.corpora import TestSplit, read_split
from seedbed.tasks.classification import label_table
from seedbed.tasks.encoded import EncodedRows
from seedbed.tasks.examples import Task, TaskFacts
from seedbed.tasks.network import NetworkConfig
from seedbed.tasks.text_learner import Outputs, TextLearner
from seedbed.tasks.tfidf import TfidfClassifier
from seedbed.tokenization import load_tokenizer, set_threads
from seedbed.training import Precision, autocast
from seedbed.workspace import write_json

if TYPE_CHECKING:
    import polars

    from seedbed.tasks import FinetuneRecipe

FACTS = "task.json"


def write_facts(folder: Path, facts: TaskFacts) -> None:
    write_json(folder / FACTS, facts.model_dump(mode="json"))


def read_facts(folder: Path) -> TaskFacts:
    """What the artifact's task learned from its train split."""
    path = folder / FACTS
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; make it with `dvc repro finetune@{folder.name}`") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}; make the folder again") from None
    return TaskFacts.parse(value, where=str(path))


def label_names(model_folder: Path) -> tuple[str, ...]:
    """The labels by number."""
    return read_facts(model_folder).labels


def seed_folder(folder: Path, seed: int) -> Path:
    """Where one seed's model is kept."""
    return folder / f"seed-{seed}"


def predict_test(
    recipe: "FinetuneRecipe", model_folder: Path, corpus_folder: Path, key: TestSplit, *, threads: int
) -> "polars.DataFrame":
    """Every seed's answers on the test split, which opens to the key alone."""
    import polars

    task: Task[Any] = recipe.task
    facts = read_facts(model_folder)
    documents = list(read_split(corpus_folder, "test", key))
    examples = task.examples(documents, split="test", facts=facts)
    task.check(examples, split="test", facts=facts, where=str(corpus_folder))
    torch.set_num_threads(threads)
    set_threads(threads)
    return polars.concat(
        answers(recipe, seed, seed_folder(model_folder, seed), examples, facts) for seed in recipe.seeds
    )


def answers(
    recipe: "FinetuneRecipe", seed: int, folder: Path, examples: Sequence[Any], facts: TaskFacts
) -> "polars.DataFrame":
    """The table of one seed's model, read from its folder."""
    if recipe.classifier.name == "tfidf":
        found_NC = TfidfClassifier.load(folder).probabilities(examples, load_tokenizer(folder))
        return label_table(seed, examples, found_NC)
    encoded, outputs = open_model(recipe, folder, facts)(examples)
    task: Task[Any] = recipe.task
    return task.table(seed, examples, encoded, outputs, facts)


def open_model(
    recipe: "FinetuneRecipe", folder: Path, facts: TaskFacts
) -> Callable[[Sequence[Any]], tuple[EncodedRows, list[Outputs]]]:
    """One seed's network as a function of examples: their rows, and the outputs of each row."""
    classifier, task = recipe.classifier, recipe.task
    assert isinstance(classifier, NetworkConfig)
    network = classifier.load(folder, task.head)
    learner = classifier.learner(network, task)

    def read(examples: Sequence[Any]) -> tuple[EncodedRows, list[Outputs]]:
        encoded = classifier.encode(
            network, task, examples, folder, facts=facts, max_length=recipe.max_length
        )
        return encoded, predict(learner, encoded, precision=recipe.precision)

    return read


def predict(learner: TextLearner, examples: EncodedRows, *, precision: Precision) -> list[Outputs]:
    """The outputs of each row, in the batches and the precision that validation scores with."""
    device = next(learner.parameters()).device
    found: dict[int, Outputs] = {}
    was_training = learner.training
    learner.eval()
    with torch.no_grad(), autocast(device, precision):
        for chosen in examples.by_length():
            batch = {name: value.to(device) for name, value in examples.collate(chosen).items()}
            outputs = learner.outputs(batch).cpu().numpy()
            found |= dict(zip(chosen.tolist(), outputs, strict=True))
    learner.train(was_training)
    assert found, "predict needs examples"
    return [found[number] for number in range(len(examples))]
