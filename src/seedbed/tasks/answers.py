"""Answers of a fine-tuned run to texts that have no label: the mean of its seeds' probabilities.

Averaging probabilities is the ensemble of Lakshminarayanan et al. 2017 (arXiv 1612.01474), section 2.4.
Shapes: N texts, C labels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seedbed.config import UserError
from seedbed.tasks.classification import ClassificationTask
from seedbed.tasks.examples import Example, TaskFacts
from seedbed.tasks.prediction import open_model, read_facts, seed_folder
from seedbed.tasks.tfidf import TfidfClassifier
from seedbed.tokenization import load_tokenizer

if TYPE_CHECKING:
    from seedbed.tasks import FinetuneRecipe

Floats = npt.NDArray[np.float64]


class Answers:
    """The models of a fine-tuned folder, read once; each seed answers in eval mode."""

    def __init__(self, recipe: "FinetuneRecipe", folder: Path, *, seeds: Sequence[int] | None = None) -> None:
        if not isinstance(recipe.task, ClassificationTask):
            raise UserError(
                f"{folder.name}: task {recipe.task.name} gives no text its label; name a run whose task does "
                "(`dvc repro evaluate` scores this one)"
            )
        facts = read_facts(folder)
        self.labels = facts.labels
        self.seeds = tuple(recipe.seeds if seeds is None else seeds)
        if unknown := sorted(set(self.seeds) - set(recipe.seeds)):
            raise UserError(
                f"{folder.name}: no seed {unknown[0]}; trained are {', '.join(map(str, recipe.seeds))}"
            )
        self._models = [_open(recipe, seed_folder(folder, seed), facts) for seed in self.seeds]

    def probabilities(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Floats:
        """probabilities_NC, the mean over seeds; `pairs` are second parts, one for each text or none."""
        seconds = [None] * len(texts) if pairs is None else pairs
        examples = [
            Example(str(i), text, pair, 0) for i, (text, pair) in enumerate(zip(texts, seconds, strict=True))
        ]
        return np.asarray(np.mean([model(examples) for model in self._models], axis=0))


def _open(recipe: "FinetuneRecipe", folder: Path, facts: TaskFacts) -> Callable[[Sequence[Example]], Floats]:
    """One seed's model as a function of examples."""
    if recipe.classifier.name == "tfidf":
        model, tokenizer = TfidfClassifier.load(folder), load_tokenizer(folder)
        return lambda examples: model.probabilities(examples, tokenizer)
    read = open_model(recipe, folder, facts)
    return lambda examples: np.stack(read(examples)[1])
