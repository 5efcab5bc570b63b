"""Warmups: how the first steps lead to the peak (Goyal et al. 2017, arXiv 1706.02677, section 2.2)."""

from typing import Annotated, Literal

from pydantic import Field

from seedbed.config import Strict


class GradualWarmupConfig(Strict):
    """Climb in even strides to the schedule's first factor, which is reached at step `warmup_steps`."""

    name: Literal["gradual"]
    start: float | None = Field(
        None,
        ge=0,
        le=1,
        description="factor of step 0; null: one stride, so that no step is lost; BERT's code: 0",
    )

    def factor(self, step: int, warmup_steps: int) -> float:
        """The share of the schedule's first factor at `step` (0-based, below `warmup_steps`)."""
        if self.start is None:
            return (step + 1) / (warmup_steps + 1)
        return self.start + (1 - self.start) * step / warmup_steps


class FlatWarmupConfig(Strict):
    """One low level throughout: the constant warmup of Goyal et al."""

    name: Literal["flat"]
    level: float = Field(gt=0, le=1, description="share of the schedule's first factor")

    def factor(self, step: int, warmup_steps: int) -> float:
        return self.level


Warmup = Annotated[GradualWarmupConfig | FlatWarmupConfig, Field(discriminator="name")]
