"""The contract of everything that trains: a module that knows its loss and how it is scored.

Objectives, tasks and forecasters are Learners; the loop in `training/` knows no more than this.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]


class Accumulator(ABC):
    """Named float64 sums over examples: adding two of them adds their examples.

    `sums` maps a name to a tensor of any shape (a count, a total, a histogram); the loop adds
    them over processes, so nothing else may be kept.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor | float) -> None:
        """Add `value` (any shape, fixed per name) to the sum called `name`."""
        value = torch.as_tensor(value).detach().to("cpu", torch.float64)
        self.sums[name] = self.sums[name] + value if name in self.sums else value

    @abstractmethod
    def results(self) -> dict[str, float]:
        """The metrics of all that was added, by bare name (`loss`, `accuracy`)."""


class MeanAccumulator(Accumulator):
    """Means: `add_mean("loss", total, count)` gives `loss = sum(total) / sum(count)`."""

    def add_mean(self, name: str, total: Tensor | float, count: Tensor | float) -> None:
        self.add(f"{name}/total", total)
        self.add(f"{name}/count", count)

    def results(self) -> dict[str, float]:
        return {
            name.removesuffix("/total"): float(total / self.sums[name.removesuffix("total") + "count"])
            for name, total in self.sums.items()
            if name.endswith("/total")
        }


class Repeated(nn.Module):
    """A part that a network has many of, one after another: devices may hold, fetch and recompute it alone.

    Its weights are read in its `forward` and nowhere else, and it is called as a module.
    """


class Learner(nn.Module, ABC):
    """A network with its loss. Written for one device; the loop adds devices from outside."""

    @abstractmethod
    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """By how much the sums of the loss are divided (masked tokens, examples): numbers that add up.

        The loop adds them over the micro-batches and processes of a step before the first of them is
        computed, so a step is the same however it is cut.
        """

    @abstractmethod
    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """This batch's part of the step's named scalars: its sums, divided by the whole step's `counts`.

        The parts of a step add up; `loss` is minimised, the others are logged beside it.
        """

    def whole_loss(self, batch: Batch) -> dict[str, Tensor]:
        """`training_loss` of a batch that is a whole step."""
        return self.training_loss(batch, self.counts(batch))

    @abstractmethod
    def scores(self) -> Accumulator:
        """An empty accumulator for this Learner's metrics."""

    @abstractmethod
    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        """Add one batch to an accumulator (called in eval mode, without gradients)."""
