"""Schedules that drop at given steps and rest between; steps are counted from the end of the warmup."""

from bisect import bisect_right
from typing import Literal, Self

from pydantic import Field, model_validator

from seedbed.training.schedules.base import History, ScheduleBase


class StepConfig(ScheduleBase):
    """Times `gamma` every `step_size` steps."""

    name: Literal["step"]
    step_size: int = Field(ge=1)
    gamma: float = Field(gt=0, le=1)

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        return self.gamma ** (step // self.step_size)


class MultiStepConfig(ScheduleBase):
    """Times `gamma` at each of `milestones`."""

    name: Literal["multi_step"]
    milestones: tuple[int, ...] = Field(min_length=1, description="steps from the end of the warmup, rising")
    gamma: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.milestones) != sorted({*self.milestones}) or self.milestones[0] < 1:
            raise ValueError(f"milestones must rise, from 1 on, got {list(self.milestones)}")
        return self

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        return self.gamma ** bisect_right(self.milestones, step)


class StepsConfig(ScheduleBase):
    """Halve the rate at equal distances, `num_decays` times within the run."""

    name: Literal["steps"]
    num_decays: int = Field(ge=1)

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        return float(0.5 ** (step * (self.num_decays + 1) // max(1, steps)))
