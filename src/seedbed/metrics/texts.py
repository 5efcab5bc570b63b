"""Scores of written texts against one reference each: BLEU and chrF, from counts that add up over examples.

Counts and not sentence scores are added, so one call scores every resample of a bootstrap. Shape legend:
N examples, K counts.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from seedbed.metrics.classification import Floats

BLEU_ORDER, CHRF_ORDER, CHRF_BETA = 4, 6, 2.0
Words = Literal["13a", "characters"]
"""What BLEU counts: the words of the WMT script mteval-v13a, or every character that is no blank."""

_ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}
_PARTED = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),  # ASCII punctuation but . , - '
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def words_of(text: str, words: Words) -> list[str]:
    """The tokens that BLEU counts."""
    if words == "characters":
        return [character for character in text if not character.isspace()]
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    text = f" {text} "
    for pattern, parted in _PARTED:
        text = pattern.sub(parted, text)
    return text.split()


def bleu_counts(references: Sequence[str], written: Sequence[str], *, words: Words = "13a") -> Floats:
    """(N, 10): n-grams of order 1 to 4 found in the reference, n-grams written, words written, words of the
    reference."""
    counts_NK = np.zeros((len(references), 2 * BLEU_ORDER + 2))
    for row, (reference, text) in enumerate(zip(references, written, strict=True)):
        there, ours = words_of(reference, words), words_of(text, words)
        for order in range(1, BLEU_ORDER + 1):
            found = _ngrams(ours, order)
            counts_NK[row, order - 1] = (found & _ngrams(there, order)).total()
            counts_NK[row, BLEU_ORDER + order - 1] = found.total()
        counts_NK[row, -2:] = len(ours), len(there)
    return counts_NK


def bleu(counts: ArrayLike) -> Floats:
    """BLEU, 0..100, from sums of counts (..., 10).

    Papineni et al. 2002 (ACL, P02-1040), of a whole corpus; an order of which nothing is found counts as half
    an n-gram, the next as a quarter (NIST's smoothing). As sacrebleu has it (Post 2018, arXiv 1804.08771).
    """
    counts = np.asarray(counts, np.float64)
    found, made = counts[..., :BLEU_ORDER], counts[..., BLEU_ORDER : 2 * BLEU_ORDER]
    ours, theirs = counts[..., -2], counts[..., -1]
    missed = np.cumsum((found == 0) & (made > 0), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(found > 0, found, 0.5**missed) / made
        brevity = np.exp(np.minimum(0.0, 1 - theirs / ours))
        score = 100 * brevity * np.exp(np.log(precision).mean(-1))
    return np.where((made > 0).all(-1) & (found > 0).any(-1), score, 0.0)


def chrf_counts(references: Sequence[str], written: Sequence[str]) -> Floats:
    """(N, 18): of order 1 to 6 the n-grams of characters written, in the reference, and in both."""
    counts_NK = np.zeros((len(references), CHRF_ORDER, 3))
    for row, (reference, text) in enumerate(zip(references, written, strict=True)):
        there, ours = "".join(reference.split()), "".join(text.split())
        for order in range(1, CHRF_ORDER + 1):
            made, wanted = _ngrams(ours, order), _ngrams(there, order)
            # what no reference could hold is no fault
            counts_NK[row, order - 1] = made.total() if wanted else 0, wanted.total(), (made & wanted).total()
    return counts_NK.reshape(len(references), -1)


def chrf(counts: ArrayLike) -> Floats:
    """chrF2, 0..100, from sums of counts (..., 18).

    Popović 2015 (WMT, W15-3049): precision and recall are means over the orders that both sides have, recall
    counts twice as much. As sacrebleu has it.
    """
    counts = np.asarray(counts, np.float64)
    made, wanted, found = np.moveaxis(counts.reshape(*counts.shape[:-1], CHRF_ORDER, 3), -1, 0)
    both = (made > 0) & (wanted > 0)
    orders = np.maximum(both.sum(-1), 1)
    precision = (np.where(both, found, 0) / np.maximum(made, 1)).sum(-1) / orders
    recall = (np.where(both, found, 0) / np.maximum(wanted, 1)).sum(-1) / orders
    below = CHRF_BETA**2 * precision + recall
    return np.asarray(100 * (1 + CHRF_BETA**2) * precision * recall / np.where(below > 0, below, 1))


def _ngrams(tokens: Sequence[str], order: int) -> "Counter[tuple[str, ...]]":
    return Counter(tuple(tokens[first : first + order]) for first in range(len(tokens) - order + 1))
