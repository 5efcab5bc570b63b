"""Mixout: in training, weights fall back by chance to what they were (Lee, Cho, Kang 2020, arXiv 1909.11299).

Where dropout puts an input neuron's outgoing weights to 0, mixout puts them to those of pretraining:
W' = U + (W - U) * mask / (1 - p), whose mean is W (the paper's equation 5 with its terms sorted).
Shapes: O outputs, I inputs of a matrix.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import Strict
from seedbed.fidelity import Deviation


class MixoutConfig(Strict):
    """On every linear map of the encoder, towards the weights it has when training begins."""

    name: Literal["mixout"]
    probability: float = Field(gt=0, lt=1, description="of an input neuron's weights to fall back")

    def apply(self, module: nn.Module) -> None:
        """Put a `MixoutLinear` where a linear map is, in place; parameters and their names stay."""
        for parent in list(module.modules()):
            for name, part in list(parent.named_children()):
                if type(part) is nn.Linear:
                    parent.add_module(name, MixoutLinear(part, self.probability))


class MixoutLinear(nn.Linear):
    """A linear map around another's parameters; in eval mode the same map.

    The mask is drawn from torch's generator, as dropout's is, so the loop seeds it by (seed, presentation).
    """

    start_OI: Tensor

    def __init__(self, linear: nn.Linear, probability: float) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.probability = probability
        # no part of what is saved: a run that goes on begins with the same weights
        self.register_buffer("start_OI", linear.weight.detach().clone(), persistent=False)

    def mixed(self) -> Tensor:
        """weight_OI of one forward pass of training."""
        ones_I = torch.ones(self.in_features, dtype=self.weight.dtype, device=self.weight.device)
        return self.start_OI + (self.weight - self.start_OI) * F.dropout(ones_I, self.probability)

    def forward(self, values: Tensor) -> Tensor:
        return F.linear(values, self.mixed() if self.training else self.weight, self.bias)


DEVIATIONS = (
    Deviation(
        system="Mixout",
        theirs="The published code gives a weight that stayed its gradient as it is.",
        ours="It is multiplied by 1 / (1 - probability), as the equation's derivative is.",
        why="The gradient is that of the loss which is computed.",
        source="arXiv 1909.11299, equation 5; bloodwass/mixout mixout.py",
    ),
    Deviation(
        system="Mixout",
        theirs="Queries, keys and values have a matrix each, and masks of their own.",
        ours="They are one matrix, so an input neuron falls back for all three.",
        why="As if the layer's input was what is dropped.",
        source="bloodwass/mixout",
    ),
)
