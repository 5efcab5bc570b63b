"""Learners whose classes may weigh more or less in the loss (class_weights.py). Shape: C classes."""

from abc import ABC

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seedbed.tasks.text_learner import TextLearner


class WeighedLearner(TextLearner, ABC):
    """Every class alike until `weigh` is called; scores never know of weights."""

    class_weights: Tensor | None

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__(classifier)
        # of the train examples, so no part of the weights that are saved
        self.register_buffer("class_weights", None, persistent=False)

    def weigh(self, weights_C: npt.NDArray[np.float64]) -> None:
        """From now on the loss is a weighted one."""
        self.class_weights = torch.from_numpy(weights_C).float()
