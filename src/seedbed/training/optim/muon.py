"""Muon for the matrices inside a network (Jordan et al. 2024, kellerjordan.github.io/posts/muon), AdamW
for the rest: both torch's, as one optimizer."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from seedbed.config import UserError
from seedbed.training.optim.adam import AdamWSettings
from seedbed.training.optim.base import OptimizerBase, parameter_groups, trainable


class MuonConfig(OptimizerBase):
    """Momentum, made orthogonal by Newton-Schulz iterations in bf16.

    It takes each matrix as a whole; a layer that holds queries, keys and values in one is one matrix.
    """

    takes_whole_matrices: ClassVar[bool] = True

    name: Literal["muon"]
    weight_decay: float = Field(0.1, ge=0, description="decoupled from the gradient")
    momentum: float = Field(0.95, ge=0, lt=1)
    nesterov: bool = True
    num_iterations: int = Field(5, ge=1, lt=100, description="of Newton-Schulz")
    rate_adjustment: Literal["original", "match_rms_adamw"] = Field(
        description="by a matrix's shape; match_rms_adamw takes AdamW's learning rates (arXiv 2502.16982)"
    )
    others: AdamWSettings = Field(description="for all that Muon does not take")
    others_below: tuple[str, ...] = Field(
        ("head", "output"),
        description="modules that predict: their matrices are not Muon's; nor are embeddings, anywhere",
    )

    def assemble(self, module: nn.Module, scale: Callable[[str], float]) -> torch.optim.Optimizer:
        """Raises UserError when no matrix is left for Muon."""
        named = trainable(module)
        tables = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
        chosen = {
            name
            for name, p in named
            if p.ndim == 2 and id(p) not in tables and not {*name.split(".")} & {*self.others_below}
        }
        if not chosen:
            raise UserError(
                f"optimizer.others_below: got {', '.join(self.others_below)}, which leaves Muon no matrix; "
                "name fewer modules, or take another optimizer"
            )
        muon = torch.optim.Muon(
            self.groups([(name, p) for name, p in named if name in chosen], scale),
            momentum=self.momentum,
            nesterov=self.nesterov,
            ns_steps=self.num_iterations,
            adjust_lr_fn=self.rate_adjustment,
        )
        groups = parameter_groups(
            [(name, p) for name, p in named if name not in chosen],
            scale,
            learning_rate=self.others.learning_rate,
            weight_decay=self.others.weight_decay,
        )
        return Together([muon, self.others.adamw(groups)] if groups else [muon])


class Together(torch.optim.Optimizer):
    """Several optimizers as one: one list of groups, one state, one state_dict."""

    def __init__(self, parts: list[torch.optim.Optimizer]) -> None:
        self._parts = parts
        for number, part in enumerate(parts):
            for group in part.param_groups:
                group["part"] = number
        super().__init__([group for part in parts for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, part in enumerate(self._parts):
            # handed over anew each time, because load_state_dict replaces both
            part.param_groups = [group for group in self.param_groups if group["part"] == number]
            part.state = self.state
            part.step()
        return loss
