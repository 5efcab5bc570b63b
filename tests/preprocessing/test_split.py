"""The split: right shares, blind to growth and order, groups kept together."""

import random

import pytest

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.preprocessing.split import Splitting

TEXTS = [f"문서 번호 {number}" for number in range(20_000)]


def test_shares() -> None:
    split = Splitting(valid_permille=50, test_permille=100)
    found = [split.assign(Document("", text)) for text in TEXTS]
    # binomial: three standard deviations of 20,000 draws
    assert abs(found.count("valid") - 1000) < 3 * (20_000 * 0.05 * 0.95) ** 0.5
    assert abs(found.count("test") - 2000) < 3 * (20_000 * 0.1 * 0.9) ** 0.5


def test_buckets_are_uniform() -> None:
    counts = [0] * 1000
    for text in TEXTS:
        counts[Splitting.bucket(text)] += 1
    chi2 = sum((count - 20) ** 2 / 20 for count in counts)
    assert 999 - 4 * (2 * 999) ** 0.5 < chi2 < 999 + 4 * (2 * 999) ** 0.5


def test_written_down() -> None:
    """These numbers are a format: a change moves documents between the splits of every corpus."""
    assert [Splitting.bucket(key) for key in ("", "a", "한국어")] == [106, 950, 256]


def test_a_group_stays_together() -> None:
    split, draw = Splitting(group="module"), random.Random(0)
    places: dict[str, set[str]] = {}
    for text in TEXTS:
        module = f"m{draw.randrange(300)}"
        places.setdefault(module, set()).add(split.assign(Document("", text, {"module": module})))
    assert all(len(found) == 1 for found in places.values())
    assert set().union(*places.values()) == {"train", "valid", "test"}


def test_faults() -> None:
    with pytest.raises(UserError, match=r"split.group 'module' is not in its meta \(keys: a\)"):
        Splitting(group="module").assign(Document("x", "t", {"a": "b"}))
    with pytest.raises(UserError, match=r"preprocess\.x\.split: .* leave no train"):
        Splitting(valid_permille=500, test_permille=500).check("preprocess.x")
