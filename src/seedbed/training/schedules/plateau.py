"""Lower the learning rate when a validation metric no longer improves.

The rule is that of torch's ReduceLROnPlateau, stepped once at each validation. Instead of counters
it reads the run's recorded curve, which is part of every checkpoint, so a resume is exact.
"""

from typing import Literal

from pydantic import Field

from seedbed.config import UserError
from seedbed.training.schedules.base import History, ScheduleBase


class PlateauConfig(ScheduleBase):
    """Times `gamma` after more than `patience` validations in a row without a better `metric`.

    Validations before the end of the warmup do not count.
    """

    name: Literal["plateau"]
    metric: str = Field(pattern="^valid/.+", description="as in the curves: valid/loss")
    mode: Literal["min", "max"]
    gamma: float = Field(gt=0, lt=1)
    patience: int = Field(ge=0)
    threshold: float = Field(1e-4, ge=0, description="a smaller change is no improvement")
    threshold_mode: Literal["rel", "abs"] = Field("rel", description="rel: threshold is a share of the best")
    cooldown: int = Field(0, ge=0, description="validations after a drop that count as neither good nor bad")
    min_factor: float = Field(0.0, ge=0, le=1)

    def factor(self, step: int, max_steps: int, *, history: History = ()) -> float:
        """Raises UserError when `history` lacks the metric: the first validation is before the first step."""
        known = dict.fromkeys(name for _, name, _ in history)
        if self.metric not in known:
            validated = ", ".join(name for name in known if name.startswith("valid/"))
            raise UserError(
                f"schedule.metric: got {self.metric!r}, the validation gives {validated or 'nothing'}; "
                "choose one of these, or another schedule"
            )
        return super().factor(step, max_steps, history=history)

    def after_warmup(self, step: int, steps: int, history: History) -> float:
        done = self.warmup_steps + step
        factor, best = 1.0, float("inf" if self.mode == "min" else "-inf")
        num_bad = cooling = 0
        for at, name, value in history:
            if name != self.metric or not self.warmup_steps <= at <= done:
                continue
            if self._is_better(value, best):
                best, num_bad = value, 0
            else:
                num_bad += 1
            if cooling:
                cooling, num_bad = cooling - 1, 0
            if num_bad > self.patience:
                factor, cooling, num_bad = max(factor * self.gamma, self.min_factor), self.cooldown, 0
        return factor

    def _is_better(self, value: float, best: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        if self.threshold_mode == "abs":
            return sign * value > sign * (best + sign * self.threshold)
        # as torch: a share of the best as it stands, also where the metric is negative
        return sign * value > sign * (best * (1 + sign * self.threshold))

    def check(self, *, max_steps: int, validate_every: int) -> None:
        if not validate_every:
            raise ValueError(
                "schedule: plateau looks at validations, and validate_every is 0: there is none before the "
                "end; give validate_every"
            )
