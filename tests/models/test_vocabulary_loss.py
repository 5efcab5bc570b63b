"""The chunked loss equals torch's cross-entropy, and samples follow the softmax."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from seedbed.models import vocabulary_loss as module
from seedbed.models.vocabulary_loss import sample, token_scores, vocabulary_loss


def problem(dtype: torch.dtype, num_positions: int = 37) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(num_positions, 16, dtype=dtype, generator=generator)
    weight = torch.randn(301, 16, dtype=dtype, generator=generator)
    bias = torch.randn(301, dtype=dtype, generator=generator)
    return [tensor.requires_grad_() for tensor in (features, weight, bias)]


@pytest.mark.parametrize("chunk", [301 * 5, 301, 1, 2**21])
def test_equals_cross_entropy(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.CHUNK_ELEMENTS, "cpu", chunk)
    ours, theirs = problem(torch.float64), problem(torch.float64)
    labels = torch.randint(301, (37,), generator=torch.Generator().manual_seed(1))
    found = vocabulary_loss(*ours, labels, count_correct=True)
    logits = F.linear(*theirs)
    expected = F.cross_entropy(logits, labels)
    torch.testing.assert_close(found.total / 37, expected, rtol=1e-13, atol=0)
    assert torch.equal(found.correct_N, logits.argmax(-1) == labels)
    (3 * found.total / 37).backward()
    (3 * expected).backward()
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, reference.grad, rtol=0, atol=1e-14)


def test_without_gradient_and_without_positions() -> None:
    features, weight, bias = problem(torch.float32)
    labels = torch.zeros(37, dtype=torch.long)
    with torch.no_grad():
        assert not vocabulary_loss(features, weight, bias, labels).total.requires_grad
    empty = vocabulary_loss(features[:0], weight, bias, labels[:0])
    empty.total.backward()
    assert float(empty.total.detach()) == 0
    assert weight.grad is not None and not weight.grad.any()


def test_autocast_stays_close() -> None:
    ours, theirs = problem(torch.float32), problem(torch.float32)
    labels = torch.randint(301, (37,), generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        found = vocabulary_loss(*ours, labels)
    expected = F.cross_entropy(F.linear(*theirs), labels)
    loss = found.total / 37
    assert loss.dtype == torch.float32
    assert abs(float((loss - expected).detach())) < 0.02
    loss.backward()
    expected.backward()
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.grad is not None and reference.grad is not None
        assert float((mine.grad - reference.grad).norm() / reference.grad.norm()) < 0.02


@pytest.mark.parametrize("num_tokens", [3, 128, 129, 300, 1024])
def test_samples_follow_the_softmax(num_tokens: int) -> None:
    generator = torch.Generator().manual_seed(num_tokens)
    chances_V = (2 * torch.randn(num_tokens, generator=generator)).softmax(-1)
    draws = 200_000
    uniforms_N = torch.from_numpy(np.random.default_rng(7).random(draws))
    drawn = torch.cat([sample(chances_V.expand(len(part), -1), part) for part in uniforms_N.split(20_000)])
    counts = np.bincount(drawn.numpy(), minlength=num_tokens)
    expected = chances_V.double().numpy() / chances_V.double().sum().item() * draws
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    kept = expected > 0
    assert stats.chisquare(observed[kept], expected[kept]).pvalue > 1e-3


def test_samples_are_the_inverse_of_the_cumulative_distribution() -> None:
    chances_NV = torch.rand(
        500, 777, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).square()
    chances_NV[:, ::3] = 0
    uniforms_N = torch.from_numpy(np.random.default_rng(0).random(500))
    exact = torch.searchsorted(
        chances_NV.cumsum(-1), uniforms_N[:, None] * chances_NV.sum(-1, keepdim=True), right=True
    )
    assert torch.equal(sample(chances_NV, uniforms_N), exact.squeeze(1))


def test_impossible_tokens_are_never_drawn() -> None:
    chances_NV = torch.zeros(4, 400)
    chances_NV[:, 5] = 1e-30
    chances_NV[:, 130] = 3e-30
    edges = torch.tensor([0.0, 0.25 - 1e-9, 0.25 + 1e-9, 1 - 2**-53], dtype=torch.float64)
    assert sample(chances_NV, edges).tolist() == [5, 5, 130, 130]


def test_tokens_rarer_than_fp32_steps_can_be_drawn() -> None:
    """A cumulative sum in fp32 stands still near 1: the last tokens would have no chance at all."""
    chances_1V = torch.full((1, 1000), 1e-9)
    chances_1V[0, 0] = 1.0
    last = torch.tensor([1 - 2**-53], dtype=torch.float64)
    assert sample(chances_1V, last).item() == 999
    middle = torch.tensor([1 - 499.5e-9], dtype=torch.float64)
    assert abs(sample(chances_1V, middle).item() - 500) <= 2


def test_loss_hands_out_samples() -> None:
    features, weight, bias = problem(torch.float64)
    labels = torch.zeros(37, dtype=torch.long)
    uniforms_N = torch.from_numpy(np.random.default_rng(0).random(37))
    found = vocabulary_loss(features, weight, bias, labels, uniforms_N=uniforms_N)
    expected = sample(F.linear(features, weight, bias).softmax(-1).detach(), uniforms_N)
    assert torch.equal(found.sampled_N, expected)
    assert not found.sampled_N.requires_grad


@pytest.mark.parametrize("chunk", [1, 10, 2**21])
def test_token_scores_are_the_terms_of_the_loss(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.CHUNK_ELEMENTS, "cpu", chunk * 301)
    features, weight, bias = problem(torch.float64)
    labels = torch.arange(37) % len(weight)
    nats_N, correct_N = token_scores(features, weight, bias, labels)
    logits = F.linear(features, weight, bias)
    torch.testing.assert_close(nats_N, F.cross_entropy(logits, labels, reduction="none"), rtol=0, atol=1e-12)
    assert torch.equal(correct_N, logits.argmax(-1) == labels)
    assert not nats_N.requires_grad
