"""Plain text scored by a decoder that was not trained for it: perplexity, bits per byte, last words.

As GPT-2 was evaluated (Radford et al. 2019, section 3). Shapes: T tokens of the text, B windows,
L positions, N lines, R resamples, M metrics.
"""

import re
from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from seedbed.config import UserError
from seedbed.evaluation.intervals import Estimate, Floats, bootstrap, estimates, proportion
from seedbed.models import Decoder
from seedbed.models.vocabulary_loss import token_scores

if TYPE_CHECKING:
    import tokenizers

METRICS = ("nats_per_token", "perplexity", "bits_per_byte")
Numbers = NDArray[np.int64]


class Lines(NamedTuple):
    """Sums over each line that holds text; blank ones go with the line before, or the first."""

    nats_N: Floats
    tokens_N: Floats
    bytes_N: Floats


class LastWords(NamedTuple):
    """Last words predicted, and of how many; the lines skipped have no word before the last."""

    num_hits: int
    num_words: int
    num_skipped: int


def stream_nats(decoder: Decoder, ids: Sequence[int], *, stride: int, batch_tokens: int) -> Floats:
    """Nats (T,) of each token, given all before it that fit the decoder's positions.

    The text begins after an end-of-text token. Windows of `max_length` advance by `stride` tokens, so a
    token past the first window sees at least `max_length - stride` before it.
    """
    if decoder.end_id is None:
        raise UserError("config.json names no eos_token_id, after which a text begins; add it")
    device = decoder.token.weight.device
    labels_T = torch.tensor(ids, device=device)
    input_ids_T = torch.cat([torch.tensor([decoder.end_id], device=device), labels_T[:-1]])
    length = min(decoder.config.max_length, len(ids))
    stops = [length, *range(length + stride, len(ids), stride)]
    stops += [len(ids)] if stops[-1] < len(ids) else []
    windows = list(zip([0, *stops[:-1]], stops, strict=True))
    at_once = max(1, batch_tokens // length)
    found = []
    for number in range(0, len(windows), at_once):
        batch = windows[number : number + at_once]
        rows_BL = torch.stack([input_ids_T[stop - length : stop] for _, stop in batch])
        # window b holds the tokens before `stop`; those from `first` on are scored here
        chosen_N = torch.cat(
            [
                torch.arange(length - (stop - first), length, device=device) + row * length
                for row, (first, stop) in enumerate(batch)
            ]
        )
        with torch.no_grad():
            hidden_ND = decoder(rows_BL, selected_N=chosen_N)
        scored = token_scores(hidden_ND, *decoder.output_weights(), labels_T[batch[0][0] : batch[-1][1]])
        found.append(scored.nats_N.double().cpu().numpy())
    return np.concatenate(found)


def by_line(text: str, starts_T: Numbers, nats_T: Floats) -> Lines:
    """Add up by line what each token costs; `starts_T` are the places of the tokens' first characters.

    Bytes are those of the text as it is written, whatever a tokenizer makes of it.
    """
    starts, pieces, place = [0], [""], 0
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        if line.strip() and pieces[-1].strip():
            starts.append(place)
            pieces.append("")
        pieces[-1] += line
        place += len(line)
    line_T = np.searchsorted(np.array(starts), starts_T, side="right") - 1
    return Lines(
        np.bincount(line_T, nats_T, len(starts)).astype(np.float64),
        np.bincount(line_T, None, len(starts)).astype(np.float64),
        np.array([len(piece.encode()) for piece in pieces], dtype=np.float64),
    )


def language_estimates(lines: Lines, *, confidence: float, resamples: int, seed: int) -> dict[str, Estimate]:
    """METRICS of all lines together, with intervals over resampled lines: n is the number of lines."""

    def statistic(weights_RN: Floats) -> Floats:
        nats_R, tokens_R, bytes_R = (weights_RN @ sums_N for sums_N in lines)
        with np.errstate(over="ignore"):
            columns = [nats_R / tokens_R, np.exp(nats_R / tokens_R), nats_R / log(2) / bytes_R]
        return np.stack(columns, axis=1)[:, None]

    draws = bootstrap(statistic, len(lines.nats_N), resamples=resamples, seed=seed)
    return dict(zip(METRICS, estimates(draws, confidence=confidence, seed=seed), strict=True))


def last_words(
    decoder: Decoder, tokenizer: "tokenizers.Tokenizer", text: str, *, batch_tokens: int
) -> LastWords:
    """Is the last word of each line what the decoder would write after the rest, always taking the likeliest?

    As LAMBADA is scored (Paperno et al. 2016, arXiv 1606.06031): every token of the word must be the
    likeliest after the true ones before it; whether the word would end there is not asked. Words stand
    between blanks, punctuation belongs to them.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    rows: list[tuple[list[int], int]] = []
    for line, encoding in zip(lines, tokenizer.encode_batch(lines, add_special_tokens=False), strict=True):
        word = re.search(r"\S+$", line)
        assert word is not None
        # of a longer line what fits before its last token
        cut = max(0, len(encoding.ids) - 1 - decoder.config.max_length)
        inside = (place for place, (_, end) in enumerate(encoding.offsets) if end > word.start())
        first = next(inside, 0) - cut
        if first > 0:
            rows.append((encoding.ids[cut:], first))
    rows.sort(key=lambda row: len(row[0]))
    hits, number = 0, 0
    while number < len(rows):
        at_once = 1
        while number + at_once < len(rows) and (at_once + 1) * len(rows[number + at_once][0]) <= batch_tokens:
            at_once += 1
        hits += _hits(decoder, rows[number : number + at_once])
        number += at_once
    return LastWords(hits, len(rows), len(lines) - len(rows))


def _hits(decoder: Decoder, rows: Sequence[tuple[list[int], int]]) -> int:
    """Rows of which every token from the given one on is the likeliest."""
    device = decoder.token.weight.device
    length = len(rows[-1][0]) - 1
    input_ids_BL = torch.tensor([ids[:-1] + [0] * (length - len(ids) + 1) for ids, _ in rows], device=device)
    chosen = [
        row * length + place
        for row, (ids, first) in enumerate(rows)
        for place in range(first - 1, len(ids) - 1)
    ]
    labels = [token for ids, first in rows for token in ids[first:]]
    with torch.no_grad():
        hidden_ND = decoder(input_ids_BL, selected_N=torch.tensor(chosen, device=device))
    scored = token_scores(hidden_ND, *decoder.output_weights(), torch.tensor(labels, device=device))
    sizes = [len(ids) - first for ids, first in rows]
    return sum(bool(correct.all()) for correct in torch.split(scored.correct_N, sizes))


def estimate_last_words(found: LastWords, *, confidence: float) -> Estimate:
    """The share of last words predicted, with the interval of a proportion."""
    return proportion(found.num_hits, found.num_words, confidence=confidence)
