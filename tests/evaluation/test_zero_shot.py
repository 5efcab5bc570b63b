"""Zero-shot scores: every token once with its context, lines and bytes add up, last words, intervals."""

import unicodedata
from math import log, log2
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch

from seedbed.config import UserError
from seedbed.evaluation.zero_shot import (
    by_line,
    estimate_last_words,
    language_estimates,
    last_words,
    stream_nats,
)
from seedbed.models.decoder import Decoder
from seedbed.tokenization import load_tokenizer
from tests.data.bilingual import TEXTS, write_tokens
from tests.models.decoders import GPTS, shaken, small_gpt, streams

TEXT = "\n".join(TEXTS) + "\n"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> tokenizers.Tokenizer:
    return load_tokenizer(write_tokens(tmp_path_factory.mktemp("tokens")) / "tokenizer")


@pytest.mark.parametrize("name", GPTS)
@pytest.mark.parametrize(
    ("length", "stride"), [(60, 7), (60, 24), (60, 1), (61, 12), (24, 5), (13, 5), (1, 1)]
)
def test_every_token_is_scored_once_with_its_context(name: str, length: int, stride: int) -> None:
    """Against one reading for each token: all before it that fit a window that ends where windows end."""
    decoder = shaken(name, dtype=torch.float64)
    ids = streams(num_rows=1, length=length)[0]
    read = torch.cat([torch.tensor([decoder.end_id]), ids[:-1]])
    expected = []
    for place in range(length):
        stop = min(length, max(24, 24 + -(-(place - 23) // stride) * stride))
        with torch.no_grad():
            logits = decoder.logits(decoder(read[None, max(0, stop - 24) : place + 1]))[0, -1]
        expected.append(-float(logits.log_softmax(-1)[ids[place]]))
    for batch_tokens in (1, 100, 10_000):
        found = stream_nats(decoder, ids.tolist(), stride=stride, batch_tokens=batch_tokens)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_a_decoder_without_end_of_text_is_told() -> None:
    decoder = shaken("gpt2")
    decoder.end_id = None
    with pytest.raises(UserError, match="no eos_token_id"):
        stream_nats(decoder, [5, 6], stride=1, batch_tokens=10)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_lines_hold_all_nats_tokens_and_bytes(form: str, tokenizer: tokenizers.Tokenizer) -> None:
    text = "\n\n" + unicodedata.normalize(form, TEXT.replace("\n", "\n \n", 3)) + "👩‍👩‍👧 가족 🇰🇷 끝"
    encoding = tokenizer.encode(text, add_special_tokens=False)
    starts = np.array([start for start, _ in encoding.offsets])
    nats = np.arange(len(starts)) / 7
    lines = by_line(text, starts, nats)
    assert len(lines.nats_N) == len(TEXTS) + 1
    assert lines.nats_N.sum() == pytest.approx(nats.sum())
    assert lines.tokens_N.sum() == len(starts)
    assert lines.bytes_N.sum() == len(text.encode())
    last = text.rsplit("\n", 1)[1]
    assert lines.bytes_N[-1] == len(last.encode())
    # a token of the last line begins with its text: encoded alone it has as many tokens
    assert lines.tokens_N[-1] == len(tokenizer.encode(last, add_special_tokens=False).ids)


def test_a_decoder_that_knows_nothing(tokenizer: tokenizers.Tokenizer) -> None:
    """Equal chances: perplexity is the size of the vocabulary, without any doubt."""
    decoder = Decoder(small_gpt("gpt2"), vocabulary_size=tokenizer.get_vocab_size(), end_id=2).eval()
    torch.nn.init.zeros_(decoder.token.weight)
    encoding = tokenizer.encode(TEXT, add_special_tokens=False)
    nats = stream_nats(decoder, encoding.ids, stride=12, batch_tokens=500)
    lines = by_line(TEXT, np.array([start for start, _ in encoding.offsets]), nats)
    found = language_estimates(lines, confidence=0.95, resamples=200, seed=0)
    size, count = tokenizer.get_vocab_size(), len(nats)
    assert found["perplexity"].value == pytest.approx(size, rel=1e-5)
    assert found["nats_per_token"].value == pytest.approx(log(size), rel=1e-6)
    assert found["nats_per_token"].high - found["nats_per_token"].low == pytest.approx(0, abs=1e-5)
    assert found["bits_per_byte"].value == pytest.approx(count * log2(size) / len(TEXT.encode()), rel=1e-6)
    assert found["bits_per_byte"].low < found["bits_per_byte"].value < found["bits_per_byte"].high
    assert {estimate.n for estimate in found.values()} == {len(TEXTS)}


def test_intervals_cover_the_truth() -> None:
    """Lines drawn from one distribution: 95 % of the intervals hold its mean, give or take what 300 draws tell."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        tokens = rng.integers(1, 60, 40).astype(float)
        nats = tokens * rng.gamma(4, 0.75, 40)  # 3 nats a token, independent of the length
        lines = type(by_line("x", np.array([0]), np.ones(1)))(nats, tokens, 4 * tokens)
        found = language_estimates(lines, confidence=0.95, resamples=400, seed=1)["nats_per_token"]
        covered += found.low <= 3.0 <= found.high
    assert 0.90 * 300 <= covered <= 0.99 * 300


def always(token: int, tokenizer: tokenizers.Tokenizer) -> Decoder:
    """A decoder that takes one token for the likeliest everywhere."""
    decoder = Decoder(small_gpt("gpt_j"), vocabulary_size=tokenizer.get_vocab_size(), end_id=2).eval()
    assert decoder.output is not None
    torch.nn.init.zeros_(decoder.output.weight)
    torch.nn.init.zeros_(decoder.output.bias)
    with torch.no_grad():
        decoder.output.bias[token] = 9.0
    return decoder


def test_last_words_are_counted(tokenizer: tokenizers.Tokenizer) -> None:
    token = tokenizer.encode(" 사람은", add_special_tokens=False).ids
    assert len(token) == 1
    text = "모든 사람은\n\n어느 누구도  \n모든 모든\t사람은 \n하나\n" + "법 앞에 " * 30 + "사람은"
    found = last_words(always(token[0], tokenizer), tokenizer, text, batch_tokens=40)
    assert found == (2, 4, 1), "a tab is another token, and a word alone has nothing before it"
    estimate = estimate_last_words(found, confidence=0.95)
    assert (estimate.value, estimate.n, estimate.how) == (0.5, 4, "beta")


def test_last_words_are_what_greedy_writing_gives(tokenizer: tokenizers.Tokenizer, tmp_path: Path) -> None:
    """On a decoder that has read the text: each line's hit is that of writing its tokens one by one."""
    from seedbed.models.generation import Sampling, generate

    config = small_gpt("gpt2", max_length=96, num_layers=1)
    decoder = Decoder(config, vocabulary_size=tokenizer.get_vocab_size(), end_id=None)
    lines = [line for line in TEXT.split("\n") if line]
    batch = [encoding.ids for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]
    optimizer = torch.optim.Adam(decoder.parameters(), lr=3e-3)
    torch.manual_seed(0)
    for _ in range(25):
        for ids in batch:
            logits = decoder.logits(decoder(torch.tensor([ids[:-1][:96]])))[0]
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:][:96]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    decoder.eval()
    expected = 0
    for line, ids in zip(lines, batch, strict=True):
        word = tokenizer.encode(" " + line.split()[-1], add_special_tokens=False).ids
        before = torch.tensor([ids[: -len(word)][-(96 - len(word)) :]])
        assert ids[-len(word) :] == word
        steps = generate(
            decoder,
            before,
            num_tokens=len(word),
            sampling=Sampling(temperature=0),
            uniforms=lambda _: torch.zeros(1),
        )
        expected += [int(tokens) for tokens in steps] == word
    found = last_words(decoder, tokenizer, TEXT, batch_tokens=200)
    assert found == (expected, len(lines), 0)
    assert 0 < expected < len(lines) + 1
