"""Attention to what came before: against the plain formula, in stretches, with a past, by both ways."""

import pytest
import torch
from torch import Tensor

from seedbed.models import causal_attention
from seedbed.models.causal_attention import CausalAttention, LocalAttention

CASES = pytest.mark.parametrize(
    ("attention", "window"),
    [
        (CausalAttention(scale=0.25), 1000),
        (LocalAttention(scale=1.0, size=5), 5),
        (LocalAttention(scale=0.5, size=1), 1),
    ],
    ids=["causal", "local", "itself"],
)


def plain(query: Tensor, key: Tensor, value: Tensor, scale: float, window: int) -> Tensor:
    """The formula, one query at a time."""
    past = key.shape[2] - query.shape[2]
    contexts = []
    for number in range(query.shape[2]):
        place = past + number
        seen = slice(max(0, place - window + 1), place + 1)
        weights = (query[:, :, number : number + 1] @ key[:, :, seen].transpose(2, 3) * scale).softmax(-1)
        contexts.append(weights @ value[:, :, seen])
    return torch.cat(contexts, 2)


def heads(queries: int, keys: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(queries)
    made = [
        torch.randn(2, 3, length, 8, dtype=torch.float64, generator=generator)
        for length in (queries, keys, keys)
    ]
    return made[0], made[1], made[2]


@CASES
@pytest.mark.parametrize("at_once", [1, 4, 256])
@pytest.mark.parametrize(("queries", "keys"), [(17, 17), (1, 17), (6, 17), (1, 1)])
def test_both_ways_are_the_formula(
    attention: CausalAttention,
    window: int,
    at_once: int,
    queries: int,
    keys: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(causal_attention, "QUERIES_AT_ONCE", at_once)
    given = heads(queries, keys)
    expected = plain(*given, attention.scale, window)
    for way in (attention.explicit, attention.fused):
        torch.testing.assert_close(way(*given, dropout=0.0), expected, rtol=0, atol=1e-12)
    together = attention(*given, dropout=0.0)
    assert torch.equal(together, attention.explicit(*given, dropout=0.0).transpose(1, 2).flatten(2))


@CASES
def test_gradients_of_stretches(
    attention: CausalAttention, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal_attention, "QUERIES_AT_ONCE", 4)
    ours, theirs = ([tensor.requires_grad_() for tensor in heads(17, 17)] for _ in range(2))
    weights = torch.arange(8, dtype=torch.float64)
    (attention.explicit(*ours, dropout=0.0) * weights).sum().backward()
    (plain(theirs[0], theirs[1], theirs[2], attention.scale, window) * weights).sum().backward()
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, reference.grad, rtol=0, atol=1e-12)


def test_a_long_row_computes_few_scores_that_nobody_reads() -> None:
    parts = list(LocalAttention(scale=1.0, size=256).stretches(2048, 2048))
    computed = sum((part.stop - part.first) * (part.high - part.low) for part in parts)
    assert computed < 2 * 2048 * 256 + 256 * 256
    parts = list(CausalAttention(scale=1.0).stretches(2048, 2048))
    assert sum((part.stop - part.first) * (part.high - part.low) for part in parts) < 0.6 * 2048 * 2048


def test_dropout_is_of_the_weights() -> None:
    query, key, _ = heads(17, 17)
    ones = torch.ones_like(query)
    torch.manual_seed(0)
    context = CausalAttention(scale=1.0).explicit(query, key, ones, dropout=0.5)
    assert not torch.equal(context, ones)
    # of the first query one weight is left, which is dropped or doubled
    assert set(context[:, :, 0].unique().tolist()) == {0.0, 2.0}
