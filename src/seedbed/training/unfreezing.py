"""Layers that begin to learn later than the head, so that a head that knows nothing spoils nothing they know.

Before its turn a layer is as if it had no gradient: it does not move, the optimizer knows nothing of it, and
the clipped norm leaves it out. Its learning rate then climbs to what the schedule says. All is a function of
the step, so a resumed run needs nothing remembered. Gradients are still computed: no time is saved.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from seedbed.config import Strict, UserError


class UnfreezingBase(Strict):
    """When each depth begins: 0 the embeddings, `top` the head."""

    warmup_steps: int = Field(
        0, ge=0, description="steps in which a layer's rate climbs in even strides, from its own beginning"
    )

    @abstractmethod
    def begins(self, depth: int, *, top: int) -> int:
        """The first step (0-based) in which this depth learns."""

    def factor(self, step: int, depth: int, *, top: int) -> float:
        """The share of the scheduled rate; 0 before its turn."""
        learned = step - self.begins(depth, top=top)
        return 0.0 if learned < 0 else min(1.0, (learned + 1) / (self.warmup_steps + 1))


class GradualUnfreezingConfig(UnfreezingBase):
    """The head, then one layer more every `every_steps` (ULMFiT's epoch), down to the embeddings.

    Howard and Ruder 2018 (arXiv 1801.06146), section 3.3.
    """

    name: Literal["gradual_unfreezing"]
    every_steps: int = Field(ge=1, description="steps from one layer's beginning to the next lower one's")

    def begins(self, depth: int, *, top: int) -> int:
        return (top - depth) * self.every_steps


class HeadFirstConfig(UnfreezingBase):
    """The head alone for `head_steps`, then everything (Kumar et al. 2022, arXiv 2202.10054: LP-FT)."""

    name: Literal["head_first"]
    head_steps: int = Field(ge=1, description="steps in which the head alone learns")

    def begins(self, depth: int, *, top: int) -> int:
        return 0 if depth == top else self.head_steps


Unfreezing = Annotated[GradualUnfreezingConfig | HeadFirstConfig, Field(discriminator="name")]


class Thaw:
    """An optimizer whose groups are of one depth each, so that each can have its turn."""

    def __init__(
        self,
        config: UnfreezingBase,
        optimizer: torch.optim.Optimizer,
        module: nn.Module,
        depths: Mapping[str, int],
        *,
        max_steps: int,
    ) -> None:
        """Cuts the groups of `optimizer` (fresh, without state) in place."""
        if not depths:
            raise UserError(
                "unfreezing: it needs one encoder with a head on it, as finetune trains; remove it (null)"
            )
        self._config, self._optimizer, self._top = config, optimizer, max(depths.values())
        depth_of = {id(parameter): depths[name] for name, parameter in module.named_parameters()}
        learning = {depth_of[id(p)] for group in optimizer.param_groups for p in group["params"]}
        last = max(config.begins(depth, top=self._top) for depth in learning)
        if last >= max_steps:
            raise UserError(
                f"unfreezing: the lowest depth would begin at step {last}, and max_steps "
                f"is {max_steps}; begin it earlier, or train longer"
            )
        cut: list[dict[str, Any]] = []
        for group in optimizer.param_groups:
            parts: dict[int, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                parts.setdefault(depth_of[id(parameter)], []).append(parameter)
            cut += [{**group, "params": part, "depth": depth} for depth, part in sorted(parts.items())]
        optimizer.param_groups[:] = cut

    def scale_rates(self, step: int) -> None:
        """Lower the rates that the schedule has just set."""
        for group in self._optimizer.param_groups:
            group["lr"] *= self._config.factor(step, group["depth"], top=self._top)

    def withhold(self, step: int) -> None:
        """Take away the gradients of what has not begun."""
        for group in self._optimizer.param_groups:
            if self._config.begins(group["depth"], top=self._top) > step:
                for parameter in group["params"]:
                    parameter.grad = None
