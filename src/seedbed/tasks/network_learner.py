"""A task's Learner on a network that reads otherwise, or adds to the loss: an ELMo, a decoder."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from seedbed.learner import Accumulator, Batch
from seedbed.tasks.examples import Task
from seedbed.tasks.text_learner import TextLearner


class NetworkLearner(TextLearner, ABC):
    """The task keeps its loss, its scores and its outputs; the network says how it gives the numbers."""

    def __init__(self, classifier: nn.Module, task: Task[Any]) -> None:
        super().__init__(classifier)
        self.of_task = task.learner(nn.Identity())

    @abstractmethod
    def network_logits(self, batch: Batch) -> Tensor: ...

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return self.of_task.counts(batch)

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.of_task.training_loss(self._read(batch), counts)

    def scores(self) -> Accumulator:
        return self.of_task.scores()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        self.of_task.score(self._read(batch), accumulator)

    def outputs(self, batch: Batch) -> Tensor:
        return self.of_task.outputs(self._read(batch))

    def _read(self, batch: Batch) -> dict[str, Tensor]:
        return {**batch, "logits": self.network_logits(batch)}
