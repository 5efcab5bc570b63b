"""Learning-rate schedules: pure functions of the step, so that resuming needs no state."""

from typing import Annotated, Literal

from pydantic import Field

from seedbed.config import Strict


class LinearConfig(Strict):
    """Linear warmup to 1 over `warmup_steps`, then linear decay to 0 at `max_steps` (BERT, section A.2)."""

    name: Literal["linear"]
    warmup_steps: int = Field(ge=0)

    def factor(self, step: int, max_steps: int) -> float:
        """The factor of the learning rate at `step` (0-based; the first step is never 0)."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        return max(0.0, (max_steps - step) / max(1, max_steps - self.warmup_steps))


class ConstantConfig(Strict):
    """The peak learning rate throughout."""

    name: Literal["constant"]

    def factor(self, step: int, max_steps: int) -> float:
        return 1.0


class StepsConfig(Strict):
    """Halve the rate at equal distances, `num_decays` times within the run."""

    name: Literal["steps"]
    num_decays: int = Field(ge=1)

    def factor(self, step: int, max_steps: int) -> float:
        return float(0.5 ** (step * (self.num_decays + 1) // max(1, max_steps)))


Schedule = Annotated[LinearConfig | ConstantConfig | StepsConfig, Field(discriminator="name")]
