"""Cross-entropy over a vocabulary in chunks, with its gradient in the same pass, and sampling from it.

The logits of all positions never exist together, so memory stays small.
Shapes: N positions, C positions of a chunk, E embedding size, V vocabulary size.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

CHUNK_ELEMENTS = {"cpu": 2**24, "cuda": 2**28}
"""Logits that exist at once, by kind of device. The weight's gradient is added up once a chunk, which costs
more than a chunk that leaves the cache: with a vocabulary of 30,522 and width 256 on one core 614 positions
take 301 ms in chunks of 2**21, 230 ms in one."""
SAMPLING_BLOCK = 128


class VocabularyLoss(NamedTuple):
    """`total` is the sum over positions; the others carry no gradient."""

    total: Tensor
    sampled_N: Tensor
    """One token per position drawn from the softmax; empty without uniforms."""
    correct_N: Tensor
    """Whether the likeliest token is the label; empty unless asked for."""


def vocabulary_loss(
    features_NE: Tensor,
    weight_VE: Tensor,
    bias_V: Tensor,
    labels_N: Tensor,
    *,
    uniforms_N: Tensor | None = None,
    count_correct: bool = False,
) -> VocabularyLoss:
    """Summed negative log-likelihood of `labels_N` under softmax(features @ weight.T + bias).

    Products run in the autocast type when autocast is on, everything else in at least fp32.
    `uniforms_N` in [0, 1) draw one token per position, see `sample`.
    """
    device = features_NE.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else features_NE.dtype
    elements = CHUNK_ELEMENTS.get(device, 2**28)
    found = _Loss.apply(  # type: ignore[no-untyped-call]
        features_NE,
        weight_VE,
        bias_V,
        labels_N,
        uniforms_N,
        dtype,
        count_correct,
        torch.is_grad_enabled(),
        max(1, elements // len(weight_VE)),
    )
    return VocabularyLoss(*found)


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features_NE: Tensor,
        weight_VE: Tensor,
        bias_V: Tensor,
        labels_N: Tensor,
        uniforms_N: Tensor | None,
        dtype: torch.dtype,
        count_correct: bool,
        with_gradient: bool,
        size: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        device = features_NE.device.type
        num_positions = len(labels_N)
        exact = torch.promote_types(weight_VE.dtype, torch.float32)
        total = torch.zeros((), dtype=exact, device=features_NE.device)
        samples: list[Tensor] = []
        corrects: list[Tensor] = []
        needed = 1 if with_gradient else 0
        grad_features_NE = features_NE.new_empty([needed * n for n in features_NE.shape])
        grad_weight_VE = weight_VE.new_zeros([needed * n for n in weight_VE.shape], dtype=exact)
        grad_bias_V = bias_V.new_zeros([needed * n for n in bias_V.shape], dtype=exact)
        with torch.autocast(device, enabled=False):
            narrow_NE, narrow_VE, narrow_V = features_NE.to(dtype), weight_VE.to(dtype), bias_V.to(dtype)
            for first in range(0, num_positions, size):
                chunk = slice(first, min(first + size, num_positions))
                labels_C1 = labels_N[chunk, None]
                logits_CV = torch.addmm(narrow_V, narrow_NE[chunk], narrow_VE.T)
                chances_CV = logits_CV.softmax(-1, dtype=exact)
                # logsumexp from the two maxima: both are far cheaper than a second exponential
                logsumexp_C = logits_CV.amax(-1).to(exact) - chances_CV.amax(-1).log()
                total += (logsumexp_C - logits_CV.gather(1, labels_C1).squeeze(1).to(exact)).sum()
                if count_correct:
                    corrects.append(logits_CV.argmax(-1) == labels_N[chunk])
                if uniforms_N is not None:
                    samples.append(sample(chances_CV, uniforms_N[chunk]))
                if with_gradient:
                    chances_CV.scatter_add_(1, labels_C1, -torch.ones_like(labels_C1, dtype=exact))
                    if ctx.needs_input_grad[2]:
                        grad_bias_V += chances_CV.sum(0)
                    grad_CV = chances_CV.to(dtype)
                    grad_features_NE[chunk] = grad_CV @ narrow_VE
                    grad_weight_VE += grad_CV.T @ narrow_NE[chunk]
        if with_gradient:
            ctx.save_for_backward(grad_features_NE, grad_weight_VE, grad_bias_V)
        sampled_N = torch.cat(samples) if samples else labels_N.new_empty(0)
        correct_N = torch.cat(corrects) if corrects else labels_N.new_empty(0, dtype=torch.bool)
        ctx.mark_non_differentiable(sampled_N, correct_N)
        return total, sampled_N, correct_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        features_NE, weight_VE, bias_V = (saved * grad.to(saved.dtype) for saved in ctx.saved_tensors)
        return features_NE, weight_VE, bias_V, None, None, None, None, None, None


class TokenScores(NamedTuple):
    """Of each position: `nats_N` of the label, in at least fp32, and whether the likeliest token is it."""

    nats_N: Tensor
    correct_N: Tensor


@torch.no_grad()
def token_scores(features_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, labels_N: Tensor) -> TokenScores:
    """What `vocabulary_loss` adds up, position by position, without gradient."""
    size = max(1, CHUNK_ELEMENTS.get(features_NE.device.type, 2**28) // len(weight_VE))
    found = []
    for part_CE, labels_C in zip(torch.split(features_NE, size), torch.split(labels_N, size), strict=True):
        logits_CV = F.linear(part_CE, weight_VE, bias_V)
        exact_CV = logits_CV.to(torch.promote_types(logits_CV.dtype, torch.float32))
        nats_C = F.cross_entropy(exact_CV, labels_C, reduction="none")
        found.append((nats_C, logits_CV.argmax(-1) == labels_C))
    nats, corrects = zip(*found, strict=True)
    return TokenScores(torch.cat(nats), torch.cat(corrects))


def sample(chances_NV: Tensor, uniforms_N: Tensor) -> Tensor:
    """One index per row, drawn by inverting the row's cumulative distribution at a uniform.

    Equal in distribution to the Gumbel trick with one random number a row in place of V. Sums of
    blocks find the block, then one block is summed: cumulative sums are in fp64, because in fp32
    tokens rarer than 6e-8 near the end of the vocabulary could never be drawn.
    """
    num_rows, num_tokens = chances_NV.shape
    whole = num_tokens // SAMPLING_BLOCK * SAMPLING_BLOCK
    blocks_NB = chances_NV[:, :whole].reshape(num_rows, -1, SAMPLING_BLOCK).sum(-1)
    if whole < num_tokens:
        blocks_NB = torch.cat([blocks_NB, chances_NV[:, whole:].sum(-1, keepdim=True)], -1)
    up_to_NB = blocks_NB.double().cumsum(-1)
    target_N1 = uniforms_N.double()[:, None] * up_to_NB[:, -1:]
    block_N1 = (up_to_NB <= target_N1).sum(-1, keepdim=True).clamp_(max=blocks_NB.shape[1] - 1)
    before_N1 = up_to_NB.gather(1, block_N1) - blocks_NB.gather(1, block_N1).double()
    place_S = torch.arange(SAMPLING_BLOCK, device=chances_NV.device)
    tokens_NS = block_N1 * SAMPLING_BLOCK + place_S
    inside_NS = chances_NV.gather(1, tokens_NS.clamp(max=num_tokens - 1)).double()
    inside_NS = inside_NS.masked_fill_(tokens_NS >= num_tokens, 0.0)
    chosen_N = (inside_NS.cumsum(-1) <= target_N1 - before_N1).sum(-1)
    # Block sums and cumulative sums round differently: never step past the last possible token.
    last_N = torch.where(inside_NS > 0, place_S, 0).amax(-1)
    return block_N1.squeeze(1) * SAMPLING_BLOCK + torch.minimum(chosen_N, last_N)
