"""How much a label's examples count in the loss, where labels are not equally frequent or not equally dear.

The loss is the weighted mean of the step's examples, as torch's `cross_entropy(weight=...)` has it for one
batch. A mean forgets what all weights have in common, so only their ratios count: the least of them is 1.
Validation stays unweighted. Shapes: N examples, C classes.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from seedbed.config import Strict, UserError

Floats = npt.NDArray[np.float64]


class ClassWeightsBase(Strict):
    """Weights of labels, read from the train examples or written in the recipe."""

    @abstractmethod
    def raw(self, labels_N: npt.NDArray[np.int64], names: Sequence[str]) -> Floats:
        """weights_C above 0, on any scale; `names` are the labels in the order of their numbers."""

    def ratios(self, labels_N: npt.NDArray[np.int64], names: Sequence[str]) -> Floats:
        """weights_C, the least of them 1."""
        weights_C = self.raw(labels_N, names)
        return np.asarray(weights_C / weights_C.min())


class BalancedConfig(ClassWeightsBase):
    """Every label counts as much as every other: N / (C x its examples in train).

    As scikit-learn's "balanced", after King and Zeng 2001 (Logistic regression in rare events data).
    """

    name: Literal["balanced"]

    def raw(self, labels_N: npt.NDArray[np.int64], names: Sequence[str]) -> Floats:
        counts_C = np.bincount(labels_N, minlength=len(names))
        assert counts_C.min() > 0, "every label has a train example: see ClassificationTask.check"
        return np.asarray(len(labels_N) / (len(names) * counts_C))


class GivenConfig(ClassWeightsBase):
    """The weight of each label by its name."""

    name: Literal["given"]
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=2, description="label to weight; only ratios count"
    )

    def raw(self, labels_N: npt.NDArray[np.int64], names: Sequence[str]) -> Floats:
        if set(self.weights) != set(names):
            raise UserError(
                f"task.class_weights.weights: got {', '.join(map(repr, sorted(self.weights)))}, the labels "
                f"are {', '.join(map(repr, names))}; give each of these its weight"
            )
        return np.array([self.weights[name] for name in names], dtype=np.float64)


ClassWeights = Annotated[BalancedConfig | GivenConfig, Field(discriminator="name")]
