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


class Learner(nn.Module, ABC):
    """A network with its loss. Written for one device; the loop adds devices from outside."""

    @abstractmethod
    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars of one batch; `loss` is minimised, the others are logged beside it."""

    @abstractmethod
    def scores(self) -> Accumulator:
        """An empty accumulator for this Learner's metrics."""

    @abstractmethod
    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        """Add one batch to an accumulator (called in eval mode, without gradients)."""
