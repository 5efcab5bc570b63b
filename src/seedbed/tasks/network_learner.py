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
        self.answering = task.learner(nn.Identity())

    @property
    def of_task(self) -> TextLearner:
        return self.answering

    @abstractmethod
    def network_logits(self, batch: Batch) -> Tensor: ...

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return self.answering.counts(batch)

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.answering.training_loss(self._read(batch), counts)

    def scores(self) -> Accumulator:
        return self.answering.scores()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        self.answering.score(self._read(batch), accumulator)

    def outputs(self, batch: Batch) -> Tensor:
        return self.answering.outputs(self._read(batch))

    def _read(self, batch: Batch) -> dict[str, Tensor]:
        return {**batch, "logits": self.network_logits(batch)}
