"""The recipe of a study; nothing of Optuna is imported here."""

from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from seedbed.config import Strict
from seedbed.tuning.space import Dimension, parse_dimension


class Pruned(Exception):
    """A trial that is stopped early because it promises little; raised by the validation callback."""

    run_status: ClassVar[str] = "KILLED"


class MedianPruning(Strict):
    """Stop a trial that is worse than the median of the earlier ones at the same step."""

    startup_trials: int = Field(3, ge=1, description="trials that are always finished")
    warmup_steps: int = Field(0, ge=0, description="steps before a trial may be stopped")


class TuneRecipe(Strict):
    """A study: which fine-tuning run, which of its settings, how many trials."""

    finetune: str = Field(description="a finetune run; its recipe is the starting point of every trial")
    search_space: dict[str, str] = Field(min_length=1, description="dotted recipe key to sweep expression")
    overrides: dict[str, JsonValue] = Field({}, description="recipe values that all trials share")
    num_trials: int = Field(ge=1)
    seed: int = Field(ge=0)
    metric: str = Field("valid/accuracy", pattern="^valid/.+", description="only the valid split may choose")
    direction: Literal["maximize", "minimize"]
    pruning: MedianPruning | None = None

    @model_validator(mode="after")
    def _check_direction(self) -> Self:
        name = self.metric.rpartition("/")[2]
        if name in ("loss", "perplexity") and self.direction == "maximize":
            raise ValueError(f"metric {self.metric} is the better the smaller; say direction: minimize")
        return self

    @field_validator("search_space")
    @classmethod
    def _is_a_space(cls, value: dict[str, str]) -> dict[str, str]:
        for key, text in value.items():
            try:
                parse_dimension(text)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        return value

    def dimensions(self) -> dict[str, Dimension]:
        """The search space, parsed; sorted, so that the order of the file changes no trial."""
        return {key: parse_dimension(text) for key, text in sorted(self.search_space.items())}
