"""What a fine-tuned artifact says about examples, each with the probabilities of all labels.

The columns: seed, id, label, predicted, probability_0 .. probability_<C-1>. Shapes: N examples, C classes.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from seedbed.config import UserError
from seedbed.corpora import TestSplit, read_split
from seedbed.tasks.encoded import EncodedExamples
from seedbed.tasks.examples import Example, TaskFacts, check_examples
from seedbed.tasks.sequence_classification import Classification
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
    """Every seed's predictions on the test split, which opens to the key alone."""
    import polars

    facts = read_facts(model_folder)
    documents = list(read_split(corpus_folder, "test", key))
    examples = recipe.task.examples(documents, split="test", facts=facts)
    check_examples(
        examples, task=recipe.task.name, split="test", labels=facts.labels, where=str(corpus_folder)
    )
    torch.set_num_threads(threads)
    set_threads(threads)
    return polars.concat(
        table(seed, examples, probabilities(recipe, seed_folder(model_folder, seed), examples))
        for seed in recipe.seeds
    )


def probabilities(
    recipe: "FinetuneRecipe", folder: Path, examples: Sequence[Example]
) -> npt.NDArray[np.float64]:
    """probabilities_NC of one seed's model, read from its folder."""
    if recipe.classifier.name == "tfidf":
        return TfidfClassifier.load(folder).probabilities(examples, load_tokenizer(folder))
    learner = recipe.classifier.load(folder)
    encoded = learner.encode(examples, folder, max_length=recipe.max_length)
    return predict(learner, encoded, precision=recipe.precision)


def predict(
    learner: Classification, examples: EncodedExamples, *, precision: Precision
) -> npt.NDArray[np.float64]:
    """probabilities_NC, in the batches and the precision that validation scores with."""
    device = next(learner.parameters()).device
    found: npt.NDArray[np.float64] | None = None
    was_training = learner.training
    learner.eval()
    with torch.no_grad(), autocast(device, precision):
        for chosen in examples.by_length():
            batch = {name: value.to(device) for name, value in examples.collate(chosen).items()}
            share_BC = learner.logits(batch).double().softmax(1).cpu().numpy()
            if found is None:
                found = np.empty((len(examples), share_BC.shape[1]), dtype=np.float64)
            found[chosen] = share_BC
    learner.train(was_training)
    assert found is not None, "predict needs examples"
    return found


def table(
    seed: int, examples: Sequence[Example], probabilities_NC: npt.NDArray[np.float64]
) -> "polars.DataFrame":
    """One seed's rows, in the order of the examples."""
    import polars

    return polars.DataFrame(
        {
            "seed": np.full(len(examples), seed, dtype=np.int64),
            "id": [example.id for example in examples],
            "label": np.array([example.label for example in examples], dtype=np.int64),
            "predicted": probabilities_NC.argmax(1).astype(np.int64),
        }
        | {f"probability_{label}": column for label, column in enumerate(probabilities_NC.T)}
    )
