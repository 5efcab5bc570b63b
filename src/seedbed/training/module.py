"""The one LightningModule: any Learner, its optimizer and its stateless schedule."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Self

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn

from seedbed.data.randomness import derive_seed
from seedbed.learner import Batch, Learner, Repeated
from seedbed.training.averaging import Average
from seedbed.training.checkpoint import Saved
from seedbed.training.optim import place_step_counts, set_learning_rates
from seedbed.training.recipe import Training
from seedbed.training.schedules import History
from seedbed.training.selection import Selected
from seedbed.training.sharding import shard, whole
from seedbed.training.unfreezing import Thaw


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

    def first_presentation(self, step: int, micro: int) -> int:
        """The first presentation of this process's micro-batch `micro` of `step`."""
        return ((step * self.accumulation + micro) * self.world_size + self.rank) * self.micro_batch_size


class TrainingModule(pl.LightningModule):
    """Turns a Learner into what Lightning trains: one batch of Lightning's is one step.

    The counts that divide the loss are those of the whole step, so cutting it into micro-batches or over
    processes weighs every token alike. Dropout is re-seeded before every micro-batch from (seed, first
    presentation), so it is the same after a restart and on any number of devices with the same micro-batches.
    `build` makes the optimizer once the weights are where they are trained; `resume` is then loaded into
    both. `history` is the list that the run's curves are appended to.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        recipe: Training,
        plan: Plan,
        build: Callable[[Learner], torch.optim.Optimizer],
        resume: Saved | None,
        history: History,
        compile: bool,
        shards: bool,
        depths: Mapping[str, int],
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.learner = learner
        self.recipe = recipe
        self.plan = plan
        self.history = history
        self.sums: dict[str, Tensor] = {}
        """This process's part of the scalars, added over the steps since the last log."""
        self.lost_at = torch.tensor(-1)
        """The first step whose loss was not finite, kept on the device; -1 while there is none."""
        self.raw_optimizer: torch.optim.Optimizer
        self.average: Average | None = None
        self.selected: Selected | None = None
        self._build, self._resume, self._depths = build, resume, depths
        self._thaw: Thaw | None = None
        self._compile, self._shards = compile, shards

    def configure_model(self) -> None:
        """Sharded, each block is compiled by itself, between one fetching of weights and the next."""
        if self._shards:
            for part in self.learner.modules():
                if self._compile and isinstance(part, Repeated):
                    part.compile()
            assert self.device_mesh is not None
            shard(self.learner, self.device_mesh["data_parallel"])
        self._loss: Callable[[Batch, Mapping[str, Tensor]], dict[str, Tensor]] = (
            torch.compile(self.learner.training_loss)
            if self._compile and not self._shards
            else self.learner.training_loss
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.raw_optimizer = self._build(self.learner)
        if self.recipe.unfreezing:
            self._thaw = Thaw(
                self.recipe.unfreezing,
                self.raw_optimizer,
                self.learner,
                self._depths,
                max_steps=self.recipe.max_steps,
            )
        if self.recipe.averaging:
            self.average = Average(self.recipe.averaging, self.learner, max_steps=self.recipe.max_steps)
        if self.recipe.selection:
            self.selected = Selected(self.recipe.selection, self.learner)
        if self._resume:
            self._resume.restore(
                self.learner, self.raw_optimizer, average=self.averages(), selected=self.selection()
            )
        return self.raw_optimizer

    def on_train_start(self) -> None:
        self.lost_at = torch.tensor(-1, device=self.device)
        place_step_counts(self.raw_optimizer)

    def training_step(self, micro_batches: list[Batch], batch_idx: int) -> None:
        step = self.plan.start_step + batch_idx
        self._set_learning_rate(step)
        counts = self._counts(micro_batches)
        for micro, batch in enumerate(micro_batches):
            seed = derive_seed(self.recipe.seed, "dropout", self.plan.first_presentation(step, micro))
            torch.manual_seed(seed)
            losses = self._loss(batch, counts)
            self._backward(losses["loss"], last=micro == len(micro_batches) - 1)
            self._remember(losses, step)
        if self._thaw:
            self._thaw.withhold(step)
        clip_gradients(self.learner, self.recipe.gradient_clip)
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        optimizer.step()
        optimizer.zero_grad()
        if self.average:
            self.average.update(step + 1)

    def averages(self) -> dict[str, Tensor]:
        """The averages of weights by name; none where the recipe asks for none."""
        return self.average.tensors if self.average else {}

    def selection(self) -> dict[str, Tensor]:
        """The weights of the best validation so far by name; none where the recipe asks for none."""
        return self.selected.tensors if self.selected else {}

    def _set_learning_rate(self, step: int) -> None:
        factor = self.recipe.schedule.factor(step, self.recipe.max_steps, history=self.history)
        set_learning_rates(self.raw_optimizer, factor)
        if self._thaw:
            self._thaw.scale_rates(step)

    def _counts(self, micro_batches: list[Batch]) -> dict[str, Tensor]:
        """The counts of the whole step; a step that has nothing to count is divided by 1."""
        each = [self.learner.counts(batch) for batch in micro_batches]
        names = sorted(each[0])
        totals = torch.stack(
            [torch.stack([counts[name].to(self.device) for counts in each]).sum() for name in names]
        )
        if self.plan.world_size > 1:
            dist.all_reduce(totals)
        return dict(zip(names, totals.clamp(min=1), strict=True))

    def _backward(self, loss: Tensor, *, last: bool) -> None:
        """Add the gradient of one micro-batch; processes exchange theirs after the last.

        Sharded, they do so after each: what waited would be a whole gradient on every device.
        """
        strategy = self.trainer.strategy
        # gradients are computed in the type of their forward pass, not cast again
        with (
            torch.autocast(self.device.type, enabled=False),
            strategy.block_backward_sync()
            if isinstance(strategy, DDPStrategy) and not last
            else nullcontext(),
        ):
            # processes average their gradients, and the parts of a step add up
            self.manual_backward(loss * self.plan.world_size)

    def _remember(self, losses: Mapping[str, Tensor], step: int) -> None:
        for name, value in losses.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        lost = (self.lost_at < 0) & ~torch.isfinite(losses["loss"].detach())
        self.lost_at = torch.where(lost, step, self.lost_at)


def clip_gradients(module: nn.Module, largest: float) -> None:
    """Scale all gradients down so that their norm together, over all processes, is at most `largest`."""
    parameters = list(module.parameters())
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    nn.utils.clip_grads_with_norm_(parameters, largest, whole(norm))
