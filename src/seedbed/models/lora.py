"""LoRA: an encoder stays as it is, small matrices beside its own learn (Hu et al. 2021, arXiv 2106.09685).

W x becomes W x + (alpha / rank) B A x (section 4.1); B begins at 0, so training begins with the encoder.
Merged, W + (alpha / rank) B A is an ordinary weight, and what is saved an ordinary encoder.
Shapes: P parts of a matrix that have their own A and B, R rank, I inputs, O outputs of a part.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import Strict
from seedbed.fidelity import Deviation
from seedbed.models.dropout import drop
from seedbed.models.encoder import Encoder

Target = Literal["query", "key", "value", "attention_out", "feed_forward_in", "feed_forward_out"]
PACKED: tuple[Target, ...] = ("query", "key", "value")
"""Rows of one matrix, `attention_in`, in this order: each has its own A and B, as if it was alone."""


class LoRAConfig(Strict):
    """Matrices of every layer that get an update of low rank; nothing else of the encoder learns."""

    name: Literal["lora"]
    rank: int = Field(ge=1)
    alpha: float = Field(gt=0, description="the update is multiplied by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="of what A reads")
    targets: tuple[Target, ...] = Field(("query", "value"), min_length=1)

    def apply(self, encoder: Encoder, *, seed: int) -> None:
        """Freeze the encoder and put the updates beside its matrices; A is a function of `seed`."""
        generator = torch.Generator().manual_seed(seed)
        encoder.requires_grad_(False)
        chosen = {"attention_in": [part for part, name in enumerate(PACKED) if name in self.targets]}
        chosen |= {name: [0] for name in self.targets if name not in PACKED}
        for block in encoder.blocks:
            for name in sorted(name for name, parts in chosen.items() if parts):
                linear = block.get_submodule(name)
                assert isinstance(linear, nn.Linear)
                num_parts = len(PACKED) if name == "attention_in" else 1
                block.add_module(name, LoRALinear(linear, self, chosen[name], num_parts, generator))


class LoRALinear(nn.Linear):
    """A frozen linear map and what is added to `parts` of its `num_parts` equal parts of rows."""

    def __init__(
        self,
        linear: nn.Linear,
        config: LoRAConfig,
        parts: Sequence[int],
        num_parts: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.parts, self.num_parts = tuple(parts), num_parts
        self.scale, self.dropout = config.alpha / config.rank, config.dropout
        self.down = nn.Parameter(linear.weight.new_empty(len(parts), config.rank, linear.in_features))
        self.up = nn.Parameter(
            linear.weight.new_zeros(len(parts), linear.out_features // num_parts, config.rank)
        )
        # the bound of the published code, whose kaiming_uniform_ has a = sqrt(5)
        limit = linear.in_features**-0.5
        nn.init.uniform_(self.down, -limit, limit, generator=generator)

    def forward(self, values: Tensor) -> Tensor:
        outputs = list(F.linear(values, self.weight, self.bias).chunk(self.num_parts, -1))
        read = drop(values, self.dropout, self.training)
        for part, down_RI, up_OR in zip(self.parts, self.down, self.up, strict=True):
            outputs[part] = outputs[part] + self.scale * F.linear(F.linear(read, down_RI), up_OR)
        return torch.cat(outputs, -1)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One linear map that does the same."""
        made = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        weights = list(self.weight.clone().chunk(self.num_parts))
        for part, down_RI, up_OR in zip(self.parts, self.down, self.up, strict=True):
            weights[part] += self.scale * (up_OR @ down_RI)
        made.weight, made.bias = nn.Parameter(torch.cat(weights)), self.bias
        return made


def merge(module: nn.Module) -> None:
    """Put a merged linear map wherever an update is, in place."""
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, LoRALinear):
                parent.add_module(name, part.merged())


DEVIATIONS = (
    Deviation(
        system="LoRA",
        theirs="Hugging Face's peft puts the updates into any model, and keeps them as files of their own.",
        ours="An object of ours; the updates are merged when training ends.",
        why="peft takes modules whole: queries, keys and values, which are one matrix here, would share an "
        "A, and the published choice of queries and values could not be made. It imports accelerate and "
        "transformers, which training does without. On a matrix of one part both compute the same.",
        source="arXiv 2106.09685, section 4.2; huggingface/peft 0.21",
    ),
    Deviation(
        system="LoRA",
        theirs="A is drawn from a Gaussian in the paper.",
        ours="Uniform within 1 / sqrt(inputs), as in the published code.",
        why="The paper does not say how wide.",
        source="arXiv 2106.09685, section 4.1; microsoft/LoRA loralib/layers.py",
    ),
)
