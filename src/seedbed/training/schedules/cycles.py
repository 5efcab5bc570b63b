"""Schedules that rise again: cosine with warm restarts, and one cycle."""

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from seedbed.training.schedules.base import History, ScheduleBase, above
from seedbed.training.schedules.smooth import half_wave


class CosineRestartsConfig(ScheduleBase):
    """Cosine waves, each starting anew at the peak (SGDR; Loshchilov and Hutter 2017, arXiv 1608.03983)."""

    name: Literal["cosine_restarts"]
    cycle_steps: int = Field(ge=1, description="length of the first wave (T_0)")
    growth: int = Field(1, ge=1, description="each wave is so many times longer than the last (T_mult)")
    min_factor: float = Field(0.0, ge=0, le=1)

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        length = self.cycle_steps
        if self.growth == 1:
            step %= length
        while step >= length:
            step -= length
            length *= self.growth
        return above(self.min_factor, half_wave(step, length))


class OneCycleConfig(ScheduleBase):
    """From the peak / `div_factor` up to the peak, then down far below the start.

    Smith and Topin 2017 (arXiv 1708.07120); two phases as fastai runs it, three as the paper does. Only
    the learning rate goes round, momentum stays. A warmup leads to the cycle's start, not to its peak.
    """

    name: Literal["one_cycle"]
    rise_share: float = Field(gt=0, lt=1, description="of the steps behind the warmup")
    div_factor: float = Field(ge=1, description="peak / first rate")
    final_div_factor: float = Field(ge=1, description="first rate / last rate")
    anneal: Literal["cosine", "linear"]
    three_phase: bool = Field(description="down to the first rate as fast as it rose, then on to the last")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.three_phase and self.rise_share >= 0.5:
            raise ValueError(
                f"three_phase rises and falls alike, got rise_share {self.rise_share:g}; give less than 0.5"
            )
        return self

    def first_factor(self) -> float:
        return 1 / self.div_factor

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        first, last = self.first_factor(), self.first_factor() / self.final_div_factor
        top = self.rise_share * steps - 1
        knots = [(0.0, first), (top, 1.0), (2 * top, first), (steps - 1, last)]
        if not self.three_phase:
            del knots[2]
        for (begin, before), (end, after) in pairwise(knots):
            if begin < end and step <= end:
                progress = (step - begin) / (end - begin)
                share = half_wave(progress, 1) if self.anneal == "cosine" else 1 - progress
                return after + (before - after) * share
        return last
