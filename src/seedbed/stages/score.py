"""score: seedbed score RUN FILE [key=value ...], what a pretrained decoder makes of a text file."""

from pathlib import Path

import numpy as np
from pydantic import Field

from seedbed.config import Machine, Strict, UserError
from seedbed.evaluation.intervals import Estimate
from seedbed.evaluation.zero_shot import (
    by_line,
    estimate_last_words,
    language_estimates,
    last_words,
    stream_nats,
)
from seedbed.stages.generate import open_decoder


class ScoreOptions(Strict):
    """How a text is read and how intervals are made."""

    stride: int | None = Field(
        None, ge=1, description="tokens by which the window advances; null is half of the decoder's positions"
    )
    confidence: float = Field(0.95, gt=0.5, lt=1)
    resamples: int = Field(2000, ge=100, le=100_000)
    seed: int = Field(0, ge=0, description="of the resampling")
    batch_tokens: int = Field(16384, ge=1, description="most tokens read at once")


def run(root: Path, machine: Machine, arguments: list[str]) -> None:
    """Print nats per token, perplexity, bits per byte and the accuracy of last words, with intervals."""
    if len(arguments) < 2:
        raise UserError("score: which model, which text? seedbed score RUN FILE [key=value ...]")
    name, file, *words = arguments
    options = ScoreOptions.parse_words(words, f"score {name}")
    text = _read(Path(file))
    decoder, tokenizer = open_decoder(root, machine, name)
    encoding = tokenizer.encode_batch([text], add_special_tokens=False)[0]
    if not encoding.ids:
        raise UserError(f"score {name}: {file} gives no tokens; give a text file")
    stride = options.stride or max(1, decoder.config.max_length // 2)
    if stride > decoder.config.max_length:
        raise UserError(
            f"score {name}: stride {stride} would skip tokens of a decoder with "
            f"{decoder.config.max_length} positions; lower it"
        )
    nats_T = stream_nats(decoder, encoding.ids, stride=stride, batch_tokens=options.batch_tokens)
    starts_T = np.array([start for start, _ in encoding.offsets])
    found = language_estimates(
        by_line(text, starts_T, nats_T),
        confidence=options.confidence,
        resamples=options.resamples,
        seed=options.seed,
    )
    print(f"{name} on {file}: {len(nats_T)} tokens, {100 * options.confidence:g} % intervals over lines")
    for metric, estimate in found.items():
        print(_row(metric, estimate))
    of_words = last_words(decoder, tokenizer, text, batch_tokens=options.batch_tokens)
    if of_words.num_words:
        print(_row("last_word_accuracy", estimate_last_words(of_words, confidence=options.confidence)))
    if of_words.num_skipped:
        print(f"lines of one word, which has none before it: {of_words.num_skipped}")


def _row(metric: str, estimate: Estimate) -> str:
    return f"{metric:<20}{estimate.value:>12.4f}  [{estimate.low:.4f}, {estimate.high:.4f}]  n={estimate.n}"


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; give a text file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    if not text.strip():
        raise UserError(f"{file}: no text in it; give a text file")
    return text
