"""Which weights a run ends with: those of its best validation, where it is asked for (Prechelt 1998, Early
stopping, but when?, section 2.2: training gives the weights of the lowest validation error so far).

Which validation is best the recorded curve says; its weights are part of every checkpoint. So a run that was
killed ends with the same weights as one that was not.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.config import Strict, UserError
from seedbed.training.schedules import History


class BestConfig(Strict):
    """The weights of the validation with the best `metric`; of several as good ones the first."""

    name: Literal["best"]
    metric: str = Field(pattern="^valid/.+", description="as in the curves: valid/loss")
    mode: Literal["min", "max"]

    def step(self, history: History) -> int | None:
        """The step of the best validation; None before any, or while none gave a number."""
        check_metric(history, self.metric, "selection")
        sign = 1 if self.mode == "max" else -1
        best, found = float("-inf"), None
        for step, name, value in history:
            if name == self.metric and sign * value > best:
                best, found = sign * value, step
        return found


class Selected:
    """The weights chosen so far, as they are: in fp32, sharded where the module's are."""

    def __init__(self, config: BestConfig, module: nn.Module) -> None:
        self._config = config
        self._parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.tensors: dict[str, Tensor] = {
            name: parameter.detach().clone() for name, parameter in self._parameters.items()
        }

    @torch.no_grad()
    def consider(self, step: int, history: History) -> None:
        """Keep the module's weights if the validation just recorded, after `step` steps, is the best."""
        if self._config.step(history) in (step, None):
            for name, parameter in self._parameters.items():
                self.tensors[name].copy_(parameter)

    @torch.no_grad()
    def put(self) -> None:
        """Give the module the weights that were kept."""
        for name, parameter in self._parameters.items():
            parameter.copy_(self.tensors[name])


def check_metric(history: Sequence[tuple[int, str, float]], metric: str, field: str) -> None:
    """A metric that the validations so far do not give is the user's error."""
    validated = dict.fromkeys(name for _, name, _ in history if name.startswith("valid/"))
    if validated and metric not in validated:
        raise UserError(
            f"{field}.metric: got {metric!r}, the validation gives {', '.join(validated)}; "
            "choose one of these"
        )
