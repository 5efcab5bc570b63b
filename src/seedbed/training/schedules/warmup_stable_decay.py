"""Warmup, a long stretch at the peak, a short decay at the end (MiniCPM; Hu et al. 2024, arXiv 2404.06395).

What was trained up to the decay does not depend on the run's length, so it can be trained further.
"""

import math
from typing import Literal

from pydantic import Field

from seedbed.training.schedules.base import History, ScheduleBase, above, remaining
from seedbed.training.schedules.smooth import half_wave


class WarmupStableDecayConfig(ScheduleBase):
    """The peak, then within the last `decay_steps` down to `min_factor`."""

    name: Literal["warmup_stable_decay"]
    decay_steps: int = Field(ge=1)
    shape: Literal["linear", "cosine", "one_minus_sqrt"] = Field(
        description="one_minus_sqrt: Hägele et al. 2024 (arXiv 2405.18392)"
    )
    min_factor: float = Field(0.0, ge=0, le=1)

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        done = step - (steps - self.decay_steps)
        if done <= 0:
            return 1.0
        left = remaining(done, self.decay_steps)
        if self.shape == "cosine":
            left = half_wave(done, self.decay_steps)
        elif self.shape == "one_minus_sqrt":
            left = 1 - math.sqrt(1 - left)
        return above(self.min_factor, left)

    def check(self, *, max_steps: int, validate_every: int) -> None:
        if self.warmup_steps + self.decay_steps > max_steps:
            raise ValueError(
                f"schedule: warmup_steps {self.warmup_steps} and decay_steps {self.decay_steps} are more "
                f"than max_steps {max_steps}; lower one or raise max_steps"
            )
