"""Generation: a cache changes nothing, filters are transformers', counts follow the chances, greedy agrees."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from scipy import stats
from torch import Tensor

from seedbed.config import UserError
from seedbed.models import save_decoder
from seedbed.models.decoder import Decoder
from seedbed.models.generation import Sampling, generate
from tests.models.decoders import GPTS, shaken, streams

EVERY = pytest.mark.parametrize("name", GPTS)
GREEDY = Sampling(temperature=0.0)


def no_chance(step: int) -> Tensor:
    raise AssertionError("asked for chance")


def seeded(seed: int, num_rows: int) -> Callable[[int], Tensor]:
    return lambda step: torch.from_numpy(np.random.default_rng([seed, step]).random(num_rows))


def written(
    decoder: Decoder, prompt_BL: Tensor, num_tokens: int, sampling: Sampling, seed: int = 0
) -> Tensor:
    """The new tokens, (B, num_tokens)."""
    uniforms = seeded(seed, len(prompt_BL))
    steps = generate(decoder, prompt_BL, num_tokens=num_tokens, sampling=sampling, uniforms=uniforms)
    return torch.stack(list(steps), 1)


@EVERY
@pytest.mark.parametrize("parts", [[1] * 20, [7, 1, 6, 6], [20]], ids=["one by one", "parts", "whole"])
def test_a_cache_changes_nothing(name: str, parts: list[int]) -> None:
    """Rows of 20 tokens, four windows long, read in parts: the vectors of one reading.

    In fp64, where what is left of a difference is not the order of sums.
    """
    decoder, rows_BL = shaken(name).double(), streams()
    cache = decoder.cache(len(rows_BL))
    with torch.no_grad():
        hidden = [decoder(part_BL, cache=cache) for part_BL in rows_BL.split(parts, 1)]
        whole = decoder(rows_BL)
    assert cache.length == 20
    torch.testing.assert_close(torch.cat(hidden, 1), whole, rtol=0, atol=1e-12 * float(whole.abs().max()))


def test_a_full_cache_is_a_fault() -> None:
    decoder = shaken("gpt2")
    cache = decoder.cache(5, capacity=19)
    with pytest.raises(AssertionError, match="20 positions in a cache of 19"):
        decoder(streams(), cache=cache)


@EVERY
def test_each_token_is_the_likeliest_of_a_full_reading(name: str) -> None:
    decoder, prompt_BL = shaken(name), streams(length=8)
    decoder.end_id = None
    steps = list(generate(decoder, prompt_BL, num_tokens=16, sampling=GREEDY, uniforms=seeded(0, 5)))
    assert len(steps) == 16
    row_BL = prompt_BL
    with torch.no_grad():
        for tokens_B in steps:
            assert torch.equal(tokens_B, decoder.logits(decoder(row_BL))[:, -1].argmax(-1))
            row_BL = torch.cat([row_BL, tokens_B[:, None]], 1)


@EVERY
def test_greedy_is_what_transformers_writes(name: str, tmp_path: Path) -> None:
    decoder, prompt_BL = shaken(name), streams(length=8)
    save_decoder(tmp_path, decoder)
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    other.generation_config.eos_token_id = decoder.end_id = None
    theirs = other.generate(
        prompt_BL, attention_mask=torch.ones_like(prompt_BL), do_sample=False, max_new_tokens=16
    )
    assert torch.equal(written(decoder, prompt_BL, 16, GREEDY), theirs[:, 8:])


LOGITS_BV = 3 * torch.randn(6, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("top_k", [None, 1, 7, 50, 1000])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.3, 1e-9])
def test_filters_are_those_of_transformers(temperature: float, top_k: int | None, top_p: float) -> None:
    scores = (
        transformers.TemperatureLogitsWarper(temperature)(None, LOGITS_BV) if temperature != 1 else LOGITS_BV
    )
    if top_k is not None:
        scores = transformers.TopKLogitsWarper(top_k)(None, scores)
    if top_p < 1:
        scores = transformers.TopPLogitsWarper(top_p)(None, scores)
    ours = Sampling(temperature=temperature, top_k=top_k, top_p=top_p).chances(LOGITS_BV)
    assert torch.equal(ours > 0, scores > -torch.inf)
    torch.testing.assert_close(ours, scores.softmax(-1), rtol=0, atol=1e-12)


def test_ties_of_the_last_are_all_kept() -> None:
    chances = Sampling(top_k=2).chances(torch.tensor([[0.0, 1.0, 0.0, -1.0]]))
    assert (chances > 0).tolist() == [[True, True, True, False]]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.5),
        Sampling(top_k=3),
        Sampling(top_p=0.6),
        Sampling(temperature=2, top_k=9, top_p=0.8),
    ],
    ids=str,
)
def test_counts_follow_the_chances(sampling: Sampling) -> None:
    logits_V = torch.linspace(-2, 1, 12)
    count = 20_000
    uniforms = torch.from_numpy(np.random.default_rng(5).random(count))
    drawn = sampling.next_tokens(logits_V.expand(count, 12), uniforms).bincount(minlength=12).numpy()
    expected = sampling.chances(logits_V[None])[0].double().numpy() * count
    possible = expected > 0
    assert not drawn[~possible].any()
    expected = expected[possible] * (count / expected.sum())
    assert stats.chisquare(drawn[possible], expected).pvalue > 1e-3


def test_sampled_text_follows_the_seed_and_rows_their_own_uniforms() -> None:
    decoder, prompt_BL = shaken("gpt2"), streams(length=8)[:1].expand(4, 8)
    decoder.end_id = None
    first, again, other = (written(decoder, prompt_BL, 12, Sampling(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({tuple(row) for row in first.tolist()}) == 4


def test_rows_end_and_then_the_whole() -> None:
    """A row goes on with the end token once it has ended; when all have, nothing more is made."""
    decoder, prompt_BL = shaken("gpt2"), streams(length=8)
    decoder.end_id = None
    free = written(decoder, prompt_BL, 12, GREEDY)
    decoder.end_id = int(free[0, 3])
    ends = [row.index(decoder.end_id) if decoder.end_id in row else 12 for row in free.tolist()]
    bounded = written(decoder, prompt_BL, 12, GREEDY)
    assert bounded.shape[1] == min(12, max(ends) + 1) and ends[0] <= 3
    for end, row, before in zip(ends, bounded.tolist(), free.tolist(), strict=True):
        assert row[: end + 1] == before[: end + 1][: len(row)]
        assert set(row[end:]) <= {decoder.end_id}
    alone = written(decoder, prompt_BL[:1], 12, GREEDY)
    assert alone.shape[1] == ends[0] + 1


def test_a_row_that_does_not_fit_is_told() -> None:
    with pytest.raises(UserError, match="a prompt of 20 tokens and 5 more do not fit the 24 positions"):
        list(generate(shaken("gpt2"), streams(), num_tokens=5, sampling=GREEDY, uniforms=no_chance))


@pytest.mark.parametrize("changes", [{"temperature": -0.1}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_bad_sampling(changes: dict[str, object]) -> None:
    with pytest.raises(UserError):
        Sampling.parse(changes, "sampling")
