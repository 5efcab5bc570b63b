"""The softmaxes: sampling counted, the sampled loss against its definition and against the full one."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from seedbed.config import UserError
from seedbed.data.randomness import uniform
from seedbed.objectives.word_softmax import (
    FullSoftmaxConfig,
    SampledSoftmaxConfig,
    expected,
    log_uniform,
)

SIZE, SAMPLES = 60, 12
SAMPLED = SampledSoftmaxConfig(name="sampled_softmax", num_samples=SAMPLES)
FULL = FullSoftmaxConfig(name="full_softmax")


def network() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(5, SIZE).double()


def test_words_come_as_often_as_expected() -> None:
    """Of 2,000 samples: how often each word is among them, and the draws that the expectation rests on."""
    counts, hoped = np.zeros(SIZE), np.zeros(SIZE)
    words = torch.arange(SIZE)
    for number in range(2000):
        sampled = log_uniform(
            SAMPLES, SIZE, lambda attempt, row=number: uniform(row, f"test {attempt}", 0, 1, 48)[0]
        )
        assert len(set(sampled.words_S.tolist())) == SAMPLES <= sampled.tries
        counts[sampled.words_S] += 1
        hoped += expected(words, SIZE, torch.tensor(sampled.tries)).numpy()
    # the expectation is of all draws, the sample is stopped at its last new word: within a few percent
    np.testing.assert_allclose(counts / hoped, 1, atol=0.15)
    assert counts.sum() == 2000 * SAMPLES and abs(hoped.sum() / counts.sum() - 1) < 0.02


def test_one_draw_is_log_uniform() -> None:
    words = [
        int(log_uniform(1, SIZE, lambda attempt, row=row: uniform(row, "one", 0, 1, 4)[0]).words_S[0])
        for row in range(3000)
    ]
    shares = np.bincount(words, minlength=SIZE) / 3000
    truth = np.log((np.arange(SIZE) + 2) / (np.arange(SIZE) + 1)) / math.log(SIZE + 1)
    assert truth.sum() == pytest.approx(1)
    assert np.abs(shares - truth).max() < 4 * math.sqrt(truth[0] * (1 - truth[0]) / 3000)


def test_a_sample_is_a_function_of_seed_and_place() -> None:
    first, again = (SAMPLED.draw(SIZE, first=8, seed=1) for _ in range(2))
    assert torch.equal(first["negatives"], again["negatives"]) and first["negatives"].shape == (2, SAMPLES)
    assert not torch.equal(first["negatives"][0], first["negatives"][1]), "each direction has its own"
    for other in (SAMPLED.draw(SIZE, first=9, seed=1), SAMPLED.draw(SIZE, first=8, seed=2)):
        assert not torch.equal(first["negatives"], other["negatives"])


def test_the_loss_is_its_definition() -> None:
    output, drawn = network(), SAMPLED.draw(SIZE, first=0, seed=0)
    hidden = torch.randn((9, 5), dtype=torch.float64)
    negatives = drawn["negatives"][1]
    labels = torch.cat([negatives[:3], torch.tensor([0, 1, 59, 30, 31, 32])])
    total = 0.0
    for vector, label in zip(hidden, labels.tolist(), strict=True):
        logits = output(vector)
        candidates = [label] + [word for word in negatives.tolist() if word != label]
        corrected = [
            (logits[word] - torch.log(expected(torch.tensor([word]), SIZE, drawn["tries"][1])[0])).item()
            for word in candidates
        ]
        total += math.log(sum(math.exp(value) for value in corrected)) - corrected[0]
    found = SAMPLED.total(output, hidden, labels, drawn, direction=1)
    assert float(found.detach()) == pytest.approx(total, rel=1e-6)


def test_over_many_samples_its_gradient_points_where_the_full_one_does() -> None:
    output = network()
    hidden = torch.randn((40, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.randint(0, SIZE, (40,), generator=torch.Generator().manual_seed(2))

    def gradient(config: FullSoftmaxConfig | SampledSoftmaxConfig, first: int) -> torch.Tensor:
        read = hidden.clone().requires_grad_()
        drawn = config.draw(SIZE, first=first, seed=0)
        config.total(output, read, labels, drawn, direction=0).backward()
        assert read.grad is not None
        return read.grad

    exact = gradient(FULL, 0)
    many = SampledSoftmaxConfig(name="sampled_softmax", num_samples=30)
    mean = torch.stack([gradient(many, first) for first in range(200)]).mean(0)
    assert torch.cosine_similarity(mean.flatten(), exact.flatten(), dim=0) > 0.99


def test_too_many_samples_are_told() -> None:
    with pytest.raises(UserError, match="num_samples: 12 of 20 words are more than half"):
        SAMPLED.draw(20, first=0, seed=0)
