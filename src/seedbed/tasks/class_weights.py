"""How much a label's examples count in the loss, where labels are not equally frequent or not equally dear.

Where an example, or a unit of a text, has one label of several, the loss is the weighted mean of the step, as
torch's `cross_entropy(weight=...)` has it for one batch. A mean forgets what all weights have in common, so
only their ratios count: the least of them is 1. Where each label is there or not, its presence is weighed
against its absence, as by torch's `pos_weight`. Validation stays unweighted. Shapes: N examples, C classes.
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
        """weights_C, the least of them 1: the loop divides by no less than 1."""
        weights_C = self.raw(labels_N, names)
        return np.asarray(weights_C / weights_C.min())

    @abstractmethod
    def of_presence(self, present_NC: npt.NDArray[np.bool_], names: Sequence[str]) -> Floats:
        """weights_C of the examples that have a label; those without it weigh 1."""


class BalancedConfig(ClassWeightsBase):
    """Every label counts as much as every other: N / (C x its examples in train).

    As scikit-learn's "balanced", after King and Zeng 2001 (Logistic regression in rare events data).
    """

    name: Literal["balanced"]

    def raw(self, labels_N: npt.NDArray[np.int64], names: Sequence[str]) -> Floats:
        """A label without an example counts as if it had one: an I- tag whose entities are one word."""
        counts_C = np.maximum(np.bincount(labels_N, minlength=len(names)), 1)
        return np.asarray(len(labels_N) / (len(names) * counts_C))

    def of_presence(self, present_NC: npt.NDArray[np.bool_], names: Sequence[str]) -> Floats:
        """Absent over present: both sides of a label weigh alike. A side without examples counts as one."""
        present_C = present_NC.sum(0)
        return np.asarray(np.maximum(len(present_NC) - present_C, 1) / np.maximum(present_C, 1))


class GivenConfig(ClassWeightsBase):
    """The weight of each label by its name; of a set of labels that of its presence, its absence weighs 1."""

    name: Literal["given"]
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=2, description="label to weight; of one label of several only ratios count"
    )

    def raw(self, labels_N: npt.NDArray[np.int64], names: Sequence[str]) -> Floats:
        if set(self.weights) != set(names):
            raise UserError(
                f"task.class_weights.weights: got {', '.join(map(repr, sorted(self.weights)))}, the labels "
                f"are {', '.join(map(repr, names))}; give each of these its weight"
            )
        return np.array([self.weights[name] for name in names], dtype=np.float64)

    def of_presence(self, present_NC: npt.NDArray[np.bool_], names: Sequence[str]) -> Floats:
        return self.raw(np.zeros(0, dtype=np.int64), names)


ClassWeights = Annotated[BalancedConfig | GivenConfig, Field(discriminator="name")]
