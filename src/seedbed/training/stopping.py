"""Early stopping: a run ends when its valid metric has not improved for long enough.

The rule reads the run's recorded curve, which is part of every checkpoint, and keeps no counters: a run that
was killed stops at the same step as one that was not. It ends with the weights of the step it stops at,
or with those of its best validation (`selection`).
"""

from typing import Literal

from pydantic import Field

from seedbed.config import Strict
from seedbed.training.schedules import History
from seedbed.training.selection import check_metric


class PatienceConfig(Strict):
    """Stop at the `patience`-th validation in a row that is no better than the best before it.

    Prechelt 1998 (Early stopping, but when?), section 2.2, the criterion UP with strips of one validation.
    """

    name: Literal["patience"]
    metric: str = Field(pattern="^valid/.+", description="as in the curves: valid/loss")
    mode: Literal["min", "max"]
    patience: int = Field(ge=1, description="validations without improvement")
    threshold: float = Field(0.0, ge=0, description="a smaller change is no improvement")

    def stops(self, history: History) -> bool:
        """Whether the last validation of `history` is the one to stop at."""
        check_metric(history, self.metric, "stopping")
        sign = 1 if self.mode == "max" else -1
        best, without = float("-inf"), 0
        for _, name, value in history:
            if name == self.metric:
                better = sign * value > best + self.threshold
                best, without = (sign * value, 0) if better else (best, without + 1)
        return without >= self.patience
