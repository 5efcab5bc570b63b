"""Contamination: which test examples share an n-gram with the corpus a model was pretrained on.

After GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix C): an example is dirty when any of its n-grams
occurs in any document; n is the 5th percentile of the examples' lengths in words, kept within 8 and 13; case
and punctuation do not count. What is added here: a test split written mostly in Hangul, kana or Han is
compared by characters without their spaces, n within 24 and 40, because Korean words change their endings
and their spacing; and text is NFKC, so composed and decomposed spellings are the same.

The test split's n-grams are held as 64-bit hashes, the corpus streams by, so memory does not grow with it. Of
10^10 n-grams of a corpus against 10^6 of a split, 5 in 10,000 times one pair meets by the hash alone.
Shape legend: T characters of a batch of documents, W units (words or characters), G n-grams, D documents.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seedbed.evaluation.intervals import Estimate, proportion
from seedbed.tokenization.encode import batches

Unit = Literal["words", "characters"]
Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]

BOUNDS: Mapping[Unit, tuple[int, int]] = {"words": (8, 13), "characters": (24, 40)}
PERCENTILE = 5
BATCH_CHARACTERS = 1 << 20
TABLE_PER_GRAM = 16
"""Places of the first, coarse look-up for each n-gram of the test splits."""
BASE = 0x9E3779B97F4A7C15
"""An odd multiplier, so that powers of it have inverses modulo 2^64."""
DENSE = ("HANGUL", "HIRAGANA", "KATAKANA", "CJK UNIFIED")


@dataclass(frozen=True)
class Contamination:
    """One test split against the train split of one pretraining corpus."""

    task: str
    corpus: str
    unit: Unit
    n: int
    dirty: Estimate
    """The share of examples with an n-gram in the corpus."""
    dirty_ids: frozenset[str]
    too_short: int
    """Examples of fewer than n units: they have no n-gram, so they count as clean."""
    num_documents: int


@dataclass(frozen=True)
class Split:
    """The n-grams of one test split, hashed: example `owners_G[g]` holds `grams_G[g]`."""

    task: str
    ids: tuple[str, ...]
    unit: Unit
    n: int
    too_short: int
    grams_G: Hashes
    owners_G: Numbers

    @classmethod
    def of(cls, task: str, texts: Mapping[str, str]) -> "Split":
        """Choose unit and n by the texts of a split (by id), and hash them."""
        unit = unit_of(texts.values())
        starts, units_W = units(list(texts.values()), unit)
        sizes = np.diff(np.append(starts, len(units_W)))
        low, high = BOUNDS[unit]
        n = int(np.clip(np.percentile(sizes, PERCENTILE, method="lower"), low, high))
        places, grams = n_grams(starts, units_W, n)
        owners = np.searchsorted(starts, places, side="right") - 1
        return cls(task, tuple(texts), unit, n, int((sizes < n).sum()), grams, owners)


def unit_of(texts: Iterable[str]) -> Unit:
    """Characters where most letters are Hangul, kana or Han; words else."""
    letters = dense = 0
    for text in texts:
        for character, count in _counted(unicodedata.normalize("NFKC", text)).items():
            if character.isalpha():
                letters += count
                dense += count * unicodedata.name(character, "").startswith(DENSE)
    return "characters" if 2 * dense > letters else "words"


def _counted(text: str) -> dict[str, int]:
    return {character: text.count(character) for character in set(text)}


def units(texts: Sequence[str], unit: Unit) -> tuple[Numbers, Hashes]:
    """Where each text begins, and hashes (W,) of the words or characters of all texts end to end."""
    folded = [unicodedata.normalize("NFKC", text).casefold() for text in texts]
    # a newline ends every text, so no word reaches into the next
    joined = "\n".join([*folded, ""])
    codes_T = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    counts_D = np.array([len(text) + 1 for text in folded])
    begins_D = np.concatenate([[0], np.cumsum(counts_D)[:-1]]).astype(np.int64)
    inside_T = _in_words()[codes_T]
    values_T = _mixed(codes_T.astype(np.uint64))
    if unit == "characters":
        places_W = np.flatnonzero(inside_T)
        return np.searchsorted(places_W, begins_D).astype(np.int64), values_T[places_W]
    edges_T = np.diff(inside_T.astype(np.int8), prepend=0)
    first_W, last_W = np.flatnonzero(edges_T == 1), np.flatnonzero(edges_T == -1)
    hashes_W = _window_hashes(values_T, first_W, last_W)
    return np.searchsorted(first_W, begins_D).astype(np.int64), hashes_W


def n_grams(starts_D: Numbers, units_W: Hashes, n: int) -> tuple[Numbers, Hashes]:
    """Places (G,) of the first unit of every run of `n` units inside one text, and their hashes."""
    firsts = np.arange(max(0, len(units_W) - n + 1))
    following = np.append(starts_D, len(units_W))
    # the text a unit is in ends where the next begins; empty texts share their places
    ends = following[np.searchsorted(starts_D, firsts, side="right")]
    firsts = firsts[firsts + n <= ends]
    return firsts, _window_hashes(units_W, firsts, firsts + n)


def _window_hashes(values_T: Hashes, first_G: Numbers, last_G: Numbers) -> Hashes:
    """Mixed polynomial hashes of values[first:last], from sums of the whole: constant work for each."""
    powers_T, inverses_T = _powers(len(values_T))
    sums_T = np.zeros(len(values_T) + 1, dtype=np.uint64)
    np.cumsum(values_T * powers_T, out=sums_T[1:])
    return _mixed((sums_T[last_G] - sums_T[first_G]) * inverses_T[first_G])


def _powers(count: int) -> tuple[Hashes, Hashes]:
    """BASE ** i and its inverse modulo 2^64, for i below `count`."""
    # batches differ in length: rounded up, a few sizes are kept
    size = 1 << max(0, count - 1).bit_length()
    powers, inverses = _power_tables(size)
    return powers[:count], inverses[:count]


@cache
def _power_tables(size: int) -> tuple[Hashes, Hashes]:
    tables = []
    for base in (BASE, pow(BASE, -1, 1 << 64)):
        factors = np.full(size, base, dtype=np.uint64)
        factors[0] = 1
        tables.append(np.cumprod(factors))
    return tables[0], tables[1]


def _mixed(values: Hashes) -> Hashes:
    """Every bit of the result depends on every bit of the value (Steele et al. 2014, SplitMix64)."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(BASE)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))


@cache
def _in_words() -> NDArray[np.bool_]:
    """Whether a code point is a letter, a mark or a number; all else stands between words."""
    table = np.zeros(0x110000, dtype=np.bool_)
    for code in range(0x110000):
        table[code] = unicodedata.category(chr(code))[0] in "LMN"
    return table


@dataclass(frozen=True)
class _Lookup:
    """The n-grams of all splits of one unit and n; `seen` is marked as the corpus streams by."""

    known_G: Hashes
    seen_G: NDArray[np.bool_]
    coarse: NDArray[np.bool_]

    @classmethod
    def of(cls, splits: Sequence[Split]) -> "_Lookup":
        known = np.unique(np.concatenate([split.grams_G for split in splits]))
        coarse = np.zeros(1 << max(10, (TABLE_PER_GRAM * len(known)).bit_length()), dtype=np.bool_)
        coarse[known & np.uint64(len(coarse) - 1)] = True
        return cls(known, np.zeros(len(known), dtype=np.bool_), coarse)

    def mark(self, grams_G: Hashes) -> None:
        likely = grams_G[self.coarse[grams_G & np.uint64(len(self.coarse) - 1)]]
        if not likely.size or not self.known_G.size:
            return
        places = np.searchsorted(self.known_G, likely).clip(max=len(self.known_G) - 1)
        self.seen_G[places[self.known_G[places] == likely]] = True


def contaminated(
    splits: Sequence[Split], corpus: str, documents: Iterable[str], *, confidence: float
) -> list[Contamination]:
    """Compare every split with the documents of one corpus, which are read once."""
    kinds = sorted({(split.unit, split.n) for split in splits})
    lookups = {kind: _Lookup.of([s for s in splits if (s.unit, s.n) == kind]) for kind in kinds}
    count = 0
    for batch in batches(documents, characters=BATCH_CHARACTERS):
        count += len(batch)
        for unit in sorted({unit for unit, _ in kinds}):
            starts_D, units_W = units(batch, unit)
            for kind, lookup in lookups.items():
                if kind[0] == unit:
                    lookup.mark(n_grams(starts_D, units_W, kind[1])[1])
    found = []
    for split in splits:
        lookup = lookups[split.unit, split.n]
        hit_G = lookup.seen_G[np.searchsorted(lookup.known_G, split.grams_G)]
        dirty = frozenset(split.ids[owner] for owner in np.unique(split.owners_G[hit_G]))
        share = proportion(len(dirty), len(split.ids), confidence=confidence)
        found.append(
            Contamination(split.task, corpus, split.unit, split.n, share, dirty, split.too_short, count)
        )
    return found
