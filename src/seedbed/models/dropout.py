"""Dropout (Srivastava et al. 2014) that costs little beside a small network's products.

On the CPU torch draws each element by itself, at one thread a seventh of a small encoder's step. Here four
elements share one draw of 64 bits: a probability is rounded to a multiple of 2**-16 (0.1 to 0.1000061), and
what is kept is scaled by the rounded one, so that the mean stays exact.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

SHARES = 2**16


def drop(values: Tensor, probability: float, training: bool) -> Tensor:
    """Dropout that touches neither memory nor the random state when its probability is 0.

    It draws from the generator of the device of `values`.
    """
    if not (training and probability):
        return values
    if values.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(values, probability, training=True)
    dropped: Tensor = _Drop.apply(values, probability)  # type: ignore[no-untyped-call]
    return dropped


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor, probability: float) -> Tensor:
        kept = kept_of(values, probability)
        context.save_for_backward(kept)
        return values * kept

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        [gradient], [kept] = gradients, context.saved_tensors
        return gradient * kept, None


def kept_of(like: Tensor, probability: float) -> Tensor:
    """What each element is multiplied by: 0, or one over the share of those that are kept."""
    dropped = round(probability * SHARES)
    words = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    numbers = words.view(torch.int16)[: like.numel()].view(like.shape)
    # written as numbers: a product with booleans is ten times slower
    kept = torch.empty_like(like, memory_format=torch.contiguous_format)
    torch.ge(numbers, dropped - SHARES // 2, out=kept)
    return kept.mul_(SHARES / (SHARES - dropped))
