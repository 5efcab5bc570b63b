"""The slanted triangle of ULMFiT (Howard and Ruder 2018, arXiv 1801.06146, section 3.2, equation 3)."""

from typing import Literal

from pydantic import Field

from seedbed.training.schedules.base import History, ScheduleBase


class SlantedTriangularConfig(ScheduleBase):
    """Up fast and down slowly, in straight lines. A warmup leads to its start, not to its peak."""

    name: Literal["slanted_triangular"]
    cut_share: float = Field(gt=0, lt=1, description="of the steps behind the warmup, to climb (cut_frac)")
    ratio: float = Field(ge=1, description="peak / first rate, and the last")

    def first_factor(self) -> float:
        return 1 / self.ratio

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        cut = max(1, int(steps * self.cut_share))
        share = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / self.cut_share - 1))
        # `cut` is rounded down, so the paper's line would reach its end before the run does and go on below
        return (1 + max(0.0, share) * (self.ratio - 1)) / self.ratio
