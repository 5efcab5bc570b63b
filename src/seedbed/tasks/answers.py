"""Answers of a fine-tuned run to texts that nobody labelled, by all its seeds together.

The seeds' probabilities (or numbers) are averaged: the ensemble of Lakshminarayanan et al. 2017 (arXiv
1612.01474), section 2.4. Where an answer is one of several labels, each seed's probabilities are first made
as sure as they were right on valid. Shapes: N examples, C labels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed.config import UserError
from seedbed.metrics.temperature import fit_temperature, probabilities, scaled
from seedbed.tasks.encoded import EncodedRows
from seedbed.tasks.examples import Task, TaskFacts
from seedbed.tasks.prediction import open_model, read_facts, seed_folder
from seedbed.tasks.text_learner import Outputs
from seedbed.tasks.tfidf import TfidfClassifier
from seedbed.tokenization import load_tokenizer

if TYPE_CHECKING:
    from seedbed.tasks import FinetuneRecipe

Model = Callable[[Sequence[Any]], tuple[EncodedRows | None, Sequence[Outputs]]]


class Answers:
    """The models of a fine-tuned folder, read once; each seed answers in eval mode."""

    def __init__(
        self, recipe: "FinetuneRecipe", folder: Path, *, seeds: Sequence[int] | None = None, raw: bool = False
    ) -> None:
        """`raw`: probabilities as trained, without the temperatures that valid asks for."""
        self._task: Task[Any] = recipe.task
        self.cut_by = self._task.cut_by(recipe.max_length)
        self._facts = read_facts(folder)
        self.labels, self.asks = self._facts.labels, self._task.asks
        self.seeds = self._task.together(recipe.seeds) if seeds is None else tuple(seeds)
        if unknown := sorted(set(self.seeds) - set(recipe.seeds)):
            raise UserError(
                f"{folder.name}: no seed {unknown[0]}; trained are {', '.join(map(str, recipe.seeds))}"
            )
        if self._task.together(self.seeds) != self.seeds:
            raise UserError(
                f"{folder.name}: the answers of task {self._task.name} have no mean; name one seed"
            )
        self._task.question("", ("a text",) * 3)  # a task that has no answers to give says so now
        self.temperatures = {} if raw else temperatures(self._task, folder, self.seeds, self._facts)
        self._models = [_open(recipe, seed_folder(folder, seed), self._facts) for seed in self.seeds]

    def __call__(self, questions: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """What the task tells of each question, the texts that `asks` names; in order.

        Of what was longer than the network reads it is also told: `cut`, true.
        """
        examples = [self._task.question(str(i), parts) for i, parts in enumerate(questions)]
        encoded, outputs = self._read(examples)
        told = self._task.answers(examples, encoded, outputs, self._facts)
        for number in encoded.cut if encoded is not None else ():
            told[number]["cut"] = True
        return told

    def _read(self, examples: Sequence[Any]) -> tuple[EncodedRows | None, list[Outputs]]:
        encoded, of_seeds = None, []
        for seed, model in zip(self.seeds, self._models, strict=True):
            encoded, outputs = model(examples)
            if seed in self.temperatures:
                outputs = list(scaled(np.stack(outputs), self.temperatures[seed]))
            of_seeds.append(outputs)
        return encoded, self._task.pooled(of_seeds)


def temperatures(task: Task[Any], folder: Path, seeds: Sequence[int], facts: TaskFacts) -> dict[int, float]:
    """Of each seed, by what it said of the valid split; none where answers are no labels."""
    import polars

    path = folder / "predictions.parquet"
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; make it with `dvc repro finetune@{folder.name}`, or say raw=true"
        )
    valid = polars.read_parquet(path)
    if not task.classes(valid, facts):
        return {}
    parts = {seed: valid.filter(polars.col("seed") == seed).sort("id") for seed in seeds}
    return {
        seed: fit_temperature(probabilities(part)[0], part["label"].to_numpy())
        for seed, part in parts.items()
    }


def _open(recipe: "FinetuneRecipe", folder: Path, facts: TaskFacts) -> Model:
    """One seed's model as a function of examples."""
    if recipe.classifier.name == "tfidf":
        model, tokenizer = TfidfClassifier.load(folder), load_tokenizer(folder)
        return lambda examples: (None, list(model.probabilities(examples, tokenizer)))
    return open_model(recipe, folder, facts)
