"""The one LightningModule: any Learner, its optimizer and its stateless schedule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import pytorch_lightning as pl
import torch
from torch import Tensor

from seedbed.data.randomness import derive_seed
from seedbed.learner import Batch, Learner
from seedbed.training.optim import place_step_counts, set_learning_rates
from seedbed.training.recipe import Training
from seedbed.training.schedules import History


@dataclass(frozen=True)
class Plan:
    """How the global batch falls on devices; the order of examples depends on none of it."""

    world_size: int
    rank: int
    accumulation: int
    micro_batch_size: int
    start_step: int

    @classmethod
    def divide(
        cls, global_batch_size: int, *, world_size: int, rank: int, accumulation: int, start_step: int
    ) -> Self:
        """The global batch over processes and micro-batches; it must divide evenly."""
        micro_batch_size, rest = divmod(global_batch_size, world_size * accumulation)
        assert rest == 0, "accumulation() gives a number that divides"
        return cls(world_size, rank, accumulation, micro_batch_size, start_step)

    def locate(self, batch_number: int) -> tuple[int, int]:
        """The step of this process's `batch_number` (from the start of this process) and its micro-batch."""
        return self.start_step + batch_number // self.accumulation, batch_number % self.accumulation

    def first_presentation(self, batch_number: int) -> int:
        step, micro = self.locate(batch_number)
        number = (step * self.accumulation + micro) * self.world_size + self.rank
        return number * self.micro_batch_size


class TrainingModule(pl.LightningModule):
    """Turns a Learner into what Lightning trains.

    Dropout is re-seeded before every micro-batch from (seed, first presentation), so it is the
    same after a restart and under any number of devices with the same micro-batches. `history` is the
    list that the run's curves are appended to.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        recipe: Training,
        plan: Plan,
        optimizer: torch.optim.Optimizer,
        history: History,
        compile: bool,
    ) -> None:
        super().__init__()
        self.learner = learner
        self.recipe = recipe
        self.plan = plan
        self.history = history
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self.raw_optimizer = optimizer
        self._loss: Callable[[Batch], dict[str, Tensor]] = (
            torch.compile(learner.training_loss) if compile else learner.training_loss
        )

    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> Tensor:
        torch.manual_seed(derive_seed(self.recipe.seed, "dropout", self.plan.first_presentation(batch_idx)))
        losses = self._loss(batch)
        for name, value in losses.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.count += 1
        return losses["loss"]

    def on_train_start(self) -> None:
        place_step_counts(self.raw_optimizer)

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        step, micro = self.plan.locate(batch_idx)
        if micro == 0:
            factor = self.recipe.schedule.factor(step, self.recipe.max_steps, history=self.history)
            set_learning_rates(self.raw_optimizer, factor)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """By global norm; Lightning's own refuses a fused optimizer under mixed precision."""
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), self.recipe.gradient_clip)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.raw_optimizer
