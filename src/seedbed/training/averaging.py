"""Averages of the weights on their way; validated and saved in place of the weights of the last step."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.config import Strict


class AveragingBase(Strict):
    """An average moves towards the weights after a step by a share that the step alone decides."""

    @abstractmethod
    def share(self, step: int, *, max_steps: int) -> float | None:
        """After `step` steps, 0 < share <= 1; 1 takes the weights as they are, None leaves the average."""

    @abstractmethod
    def first_step(self, max_steps: int) -> int:
        """The step that the average begins with; below 1 if the run is too short for it."""


class EMAConfig(AveragingBase):
    """The exponential moving average (Polyak and Juditsky 1992 average all steps alike), from step 1 on."""

    name: Literal["ema"]
    decay: float = Field(gt=0, lt=1, description="what is left of the average at each step")
    warmup: bool = Field(
        True, description="at most (1 + n) / (10 + n) at update n, so that the first weights are forgotten"
    )

    def share(self, step: int, *, max_steps: int) -> float | None:
        updates = step - 1
        if updates == 0:
            return 1.0
        # the ramp of TensorFlow's ExponentialMovingAverage, its num_updates
        return 1 - (min(self.decay, (1 + updates) / (10 + updates)) if self.warmup else self.decay)

    def first_step(self, max_steps: int) -> int:
        return 1


class LastNConfig(AveragingBase):
    """The mean of the weights at the run's end and at `count` - 1 steps before (Vaswani et al. 2017, arXiv
    1706.03762, section 6.1: the last 5 checkpoints, 20 of the big model, ten minutes apart).

    Before the first of them there is no average: the weights themselves are validated.
    """

    name: Literal["last_n"]
    count: int = Field(ge=2, description="weights that are averaged")
    every_steps: int = Field(ge=1, description="steps from one to the next")

    def share(self, step: int, *, max_steps: int) -> float | None:
        number, rest = divmod(step - self.first_step(max_steps), self.every_steps)
        return 1 / (number + 1) if number >= 0 and rest == 0 else None

    def first_step(self, max_steps: int) -> int:
        return max_steps - (self.count - 1) * self.every_steps


Averaging = Annotated[EMAConfig | LastNConfig, Field(discriminator="name")]


class Average:
    """The average of a module's trained weights, in fp32 as they are, sharded where they are."""

    def __init__(self, config: AveragingBase, module: nn.Module, *, max_steps: int) -> None:
        self._config, self._max_steps = config, max_steps
        self._parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.tensors: dict[str, Tensor] = {
            name: parameter.detach().clone() for name, parameter in self._parameters.items()
        }

    def update(self, step: int) -> None:
        """Take in the weights as they are after `step` steps."""
        share = self._config.share(step, max_steps=self._max_steps)
        if share is not None:
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(self.tensors.values()), [p.detach() for p in self._parameters.values()], share
                )

    @contextmanager
    def in_place(self, step: int) -> Iterator[None]:
        """While it lasts the module has the averaged weights, if after `step` steps there are such."""
        begun = step >= self._config.first_step(self._max_steps)
        if begun:
            self.swap()
        try:
            yield
        finally:
            if begun:
                self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange weights and averages, one tensor at a time."""
        for name, parameter in self._parameters.items():
            kept = parameter.detach().clone()
            parameter.copy_(self.tensors[name])
            self.tensors[name].copy_(kept)
