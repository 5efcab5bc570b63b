"""Schedules without jumps: constant, or falling at every step."""

import math
from abc import abstractmethod
from typing import Literal

from pydantic import Field

from seedbed.training.schedules.base import History, ScheduleBase, above, remaining


class ConstantConfig(ScheduleBase):
    """The peak learning rate throughout."""

    name: Literal["constant"]

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        return 1.0


class Decay(ScheduleBase):
    """From the peak down to `min_factor`, which then stays."""

    min_factor: float = Field(0.0, ge=0, le=1)
    decay_steps: int | None = Field(None, ge=1, description="null: down to the end of the run")

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        return above(self.min_factor, self.shape(step, self.decay_steps or steps))

    @abstractmethod
    def shape(self, step: int, steps: int) -> float:
        """From 1 at step 0 to 0 at `steps` and after."""


class LinearConfig(Decay):
    """Evenly down (BERT, arXiv 1810.04805, section A.2)."""

    name: Literal["linear"]

    def shape(self, step: int, steps: int) -> float:
        return remaining(step, steps)


class PolynomialConfig(Decay):
    """The share of the decay that is left, to a power; below 1 falls late, above 1 early."""

    name: Literal["polynomial"]
    power: float = Field(gt=0)

    def shape(self, step: int, steps: int) -> float:
        return math.pow(remaining(step, steps), self.power)


class CosineConfig(Decay):
    """Half a cosine wave (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts)."""

    name: Literal["cosine"]

    def shape(self, step: int, steps: int) -> float:
        return half_wave(step, steps)


class InverseSqrtConfig(ScheduleBase):
    """The inverse square root of the step (Noam; Vaswani et al. 2017, arXiv 1706.03762, section 5.3).

    The paper counts steps from 1 and the peak as the last step of its warmup: its 4000 are 3999 here,
    and the curve is then the paper's to the last step.
    """

    name: Literal["inverse_sqrt"]
    timescale: int | None = Field(
        None, ge=1, description="steps after which it is down to 1/sqrt(2); null: warmup_steps + 1"
    )

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        timescale = self.warmup_steps + 1 if self.timescale is None else self.timescale
        return math.sqrt(timescale / (timescale + step))


class ExponentialConfig(ScheduleBase):
    """Times `gamma` at every step."""

    name: Literal["exponential"]
    gamma: float = Field(gt=0, le=1)

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        return self.gamma**step


def half_wave(step: float, steps: float) -> float:
    """From 1 at step 0 to 0 at `steps` and after, along a cosine."""
    return (1 + math.cos(math.pi * min(1.0, step / max(1, steps)))) / 2
