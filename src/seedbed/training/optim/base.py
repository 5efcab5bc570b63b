"""What every optimizer shares: parameter groups, each with its own peak learning rate."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import nn

from seedbed.config import Strict, UserError

Group = dict[str, Any]
"""Parameters with the settings they are trained by; `peak` is their learning rate at factor 1."""


class LayerDecay(Strict):
    """Learning rates that fall from the head down to the embeddings, by `rate` at each layer.

    Howard and Ruder 2018 (arXiv 1801.06146, section 3.2), as ELECTRA fine-tunes (arXiv 2003.10555,
    appendix B: 0.8 for small and base, 0.9 for large).
    """

    rate: float = Field(gt=0, le=1)
    as_official_code: bool = Field(
        False,
        description="everything below the head one layer lower, as google-research/electra#51 found: "
        "there the last layer learns at rate^2, not rate",
    )

    def scale(self, depth: int, *, top: int) -> float:
        """The share of the peak at `depth`; the head's depth is `top`."""
        # model/optimization.py there gives embeddings 0, layer i (from 0) i + 1 and the head n + 2, and
        # takes rate^(n + 2 - depth); n + 1 was a pooler's, which ELECTRA has no more.
        gap = 1 if self.as_official_code and depth < top else 0
        return self.rate ** (top - depth + gap)


class OptimizerBase(Strict):
    """Peak learning rate and decay; weight decay falls on matrices only, never on biases and norms."""

    learning_rate: float = Field(gt=0, description="peak, before the schedule's factor")
    reference_batch_size: int | None = Field(
        None,
        ge=1,
        description="the batch learning_rate is meant for: the peak is then learning_rate x "
        "global_batch_size / reference_batch_size (Goyal et al. 2017, arXiv 1706.02677, section 2.1); "
        "null: learning_rate as it stands",
    )
    weight_decay: float = Field(0.0, ge=0, description="L2: a part of the gradient")
    layer_decay: LayerDecay | None = Field(None, description="for fine-tuning an encoder with a head")
    takes_whole_matrices: ClassVar[bool] = False
    """Its step is not of each weight or of norms alone, so it is wrong on rows of a matrix."""

    def batch_scale(self, global_batch_size: int) -> float:
        """What the linear scaling rule makes of the learning rate."""
        return global_batch_size / self.reference_batch_size if self.reference_batch_size else 1.0

    def build(
        self, module: nn.Module, *, batch_scale: float = 1.0, depths: Mapping[str, int] | None = None
    ) -> torch.optim.Optimizer:
        """The optimizer of every trainable parameter of `module`.

        `depths` holds the layer of each parameter by name, from 0; `layer_decay` needs it.
        """
        return self.assemble(module, lambda name: batch_scale * self._layer_scale(name, depths or {}))

    @abstractmethod
    def assemble(self, module: nn.Module, scale: Callable[[str], float]) -> torch.optim.Optimizer:
        """The optimizer, each parameter at `scale(name)` of its learning rate."""

    def groups(self, named: Iterable[tuple[str, nn.Parameter]], scale: Callable[[str], float]) -> list[Group]:
        """The parameters by scale and weight decay, at this optimizer's learning rate."""
        return parameter_groups(
            named, scale, learning_rate=self.learning_rate, weight_decay=self.weight_decay
        )

    def _layer_scale(self, name: str, depths: Mapping[str, int]) -> float:
        if self.layer_decay is None:
            return 1.0
        if not depths:
            raise UserError(
                "optimizer.layer_decay: it needs one encoder with a head on it, as finetune trains; "
                "remove it (null)"
            )
        return self.layer_decay.scale(depths[name], top=max(depths.values()))


def trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """What is to be trained, by name; a parameter shared by two parts once."""
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    scale: Callable[[str], float],
    *,
    learning_rate: float,
    weight_decay: float,
) -> list[Group]:
    """One group for each scale, twice: matrices, then biases and norms without decay. Highest scale first."""
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        found.setdefault((scale(name), parameter.ndim >= 2), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": learning_rate * share,
            "peak": learning_rate * share,
            "weight_decay": weight_decay if is_matrix else 0.0,
        }
        for (share, is_matrix), parameters in sorted(found.items(), key=lambda item: item[0], reverse=True)
    ]


def set_learning_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Each group's peak times the schedule's factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def place_step_counts(optimizer: torch.optim.Optimizer) -> None:
    """Bring the step counts of fused optimizers to their parameters' device, once these have moved.

    Lightning moves all other state along, and leaves these behind for optimizers that are not fused.
    """
    for group in optimizer.param_groups:
        if group.get("fused"):
            for parameter in group["params"]:
                state = optimizer.state.get(parameter, {})
                if "step" in state:
                    state["step"] = state["step"].to(parameter.device)
