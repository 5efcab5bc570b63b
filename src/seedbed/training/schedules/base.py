"""What every schedule shares: a warmup, and behind it a clock that starts at 0 where the warmup ends."""

from abc import abstractmethod
from collections.abc import Sequence

from pydantic import Field

from seedbed.config import Strict
from seedbed.training.schedules.warmup import GradualWarmupConfig, Warmup

History = Sequence[tuple[int, str, float]]
"""The curves of a run: (steps done, metric, value), in the order of recording."""


class ScheduleBase(Strict):
    """A factor of the peak learning rate for each step. It keeps no state, so a resume needs none."""

    warmup_steps: int = Field(0, ge=0, description="steps before the schedule proper; 0: no warmup")
    warmup: Warmup = GradualWarmupConfig(name="gradual")

    def factor(self, step: int, max_steps: int, *, history: History = ()) -> float:
        """The factor at `step` (0-based): a function of the arguments alone.

        `history` holds at least what was recorded up to `step`; only `plateau` looks at it.
        """
        if step < self.warmup_steps:
            return self.warmup.factor(step, self.warmup_steps) * self.first_factor()
        return self.after_warmup(step - self.warmup_steps, max_steps - self.warmup_steps, history)

    @abstractmethod
    def after_warmup(self, step: int, steps: int, history: History) -> float:
        """The factor `step` steps behind the warmup, in a run with `steps` (1 or more) such steps."""

    def first_factor(self) -> float:
        """What the warmup leads to."""
        return 1.0

    def check(self, *, max_steps: int, validate_every: int) -> None:
        """Raise ValueError when this schedule cannot be followed in such a run."""


def remaining(step: int, steps: int) -> float:
    """The share of the run that is left: 1 at step 0, 0 at the end and after."""
    return max(0.0, (steps - step) / max(1, steps))


def above(min_factor: float, share: float) -> float:
    """`share` of the way from `min_factor` up to 1."""
    return min_factor + (1 - min_factor) * share
