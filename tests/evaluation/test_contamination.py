"""Contamination: the same answer as a set of Python tuples, in Korean and English, in bounded memory."""

import random
import unicodedata

import numpy as np
import pytest

from seedbed.evaluation import contamination
from seedbed.evaluation.contamination import Split, contaminated, n_grams, unit_of, units

ENGLISH = "The quick brown fox jumps over the lazy dog while thirteen grey geese are flying south again."
KOREAN = "오늘 아침에는 안개가 짙어서 한강 다리 위의 자동차들이 모두 불을 켜고 천천히 달리고 있었다고 합니다."
VOCABULARY = ["alpha", "베타", "γάμμα", "delta9", "é", "한국어는", "🙂", "no-op", "x", "ﬁne", "Straße"]


def words(text):
    """The definition, said another way: runs of letters, marks and numbers, folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded)
    return kept.split()


def grams(text, n):
    return {tuple(words(text)[i : i + n]) for i in range(len(words(text)) - n + 1)}


def test_hashed_n_grams_are_those_of_a_plain_set():
    chance = random.Random(3)
    texts = [" ".join(chance.choices(VOCABULARY, k=chance.randrange(0, 30))) for _ in range(60)]
    starts, hashed = units(texts, "words")
    for n in (1, 2, 5):
        places, found = n_grams(starts, hashed, n)
        plain = [tuple(words(t)[i : i + n]) for t in texts for i in range(len(words(t)) - n + 1)]
        assert len(found) == len(plain)  # none crosses from one text into the next
        # equal tuples have equal hashes, and others have others
        assert len({(gram, int(h)) for gram, h in zip(plain, found, strict=True)}) == len(set(plain))
        assert len(set(found.tolist())) == len(set(plain))
        assert (np.diff(places) > 0).all()


def test_against_a_plain_set_in_any_batches(monkeypatch):
    chance = random.Random(4)
    documents = [" ".join(chance.choices(VOCABULARY, k=40)) for _ in range(80)]
    tests = {f"d{i}": " ".join(chance.choices(VOCABULARY, k=12)) for i in range(40)}
    for i in range(0, 40, 3):  # a piece of a document, in other case and with other marks between
        piece = words(documents[i])[5:14]
        tests[f"d{i}"] = "¡" + ", ".join(piece).upper() + "!!"
    split = Split.of("topics", tests)
    assert split.unit == "words" and split.n < 13
    known = set().union(*(grams(document, split.n) for document in documents))
    expected = {i for i, text in tests.items() if grams(text, split.n) & known}
    assert len(expected) >= 10
    for size in (1, 300, 1 << 20):
        monkeypatch.setattr(contamination, "BATCH_CHARACTERS", size)
        (found,) = contaminated([split], "docs", iter(documents), confidence=0.95)
        assert found.dirty_ids == expected and found.num_documents == 80
        assert (
            found.dirty.value == len(expected) / 40 and found.dirty.low < found.dirty.value < found.dirty.high
        )


def test_korean_is_compared_by_characters_whatever_its_spacing_and_composition():
    tests = {
        "a": KOREAN,
        "b": "전혀 다른 이야기를 하는 문장이라서 겹치는 곳이 한 군데도 없어야 마땅한 예문입니다 그렇지요 네",
    }
    split = Split.of("topics", tests)
    assert split.unit == "characters" and 24 <= split.n <= 40
    document = "앞말. " + unicodedata.normalize("NFD", KOREAN.replace(" ", "")) + " 뒷말."
    assert contaminated([split], "docs", [document], confidence=0.95)[0].dirty_ids == {"a"}
    assert contaminated([split], "docs", [KOREAN[: split.n - 5]], confidence=0.95)[0].dirty_ids == frozenset()


def test_unit_and_n_follow_the_split():
    assert unit_of([ENGLISH, KOREAN[:20]]) == "words"
    assert unit_of([KOREAN, "GPU 3장"]) == "characters"
    assert unit_of(["12 34 !?"]) == "words"
    long = {f"d{i}": ENGLISH for i in range(20)}
    assert Split.of("t", long).n == 13  # 17 words, kept at 13
    short = long | {f"s{i}": "two words" for i in range(3)}
    split = Split.of("t", short)
    assert (split.n, split.too_short) == (8, 3)
    (found,) = contaminated([split], "docs", ["two words", "nothing else"], confidence=0.95)
    assert not found.dirty_ids and found.too_short == 3


def test_no_n_gram_crosses_documents_and_empty_texts_do_no_harm():
    split = Split.of("t", {"a": ENGLISH, "b": "", "c": "🙂 🙂"})
    assert not contaminated(
        [split], "docs", [ENGLISH[:31], "", ENGLISH[31:61], ENGLISH[61:]], confidence=0.95
    )[0].dirty_ids
    assert contaminated([split], "docs", ["", ENGLISH, ""], confidence=0.95)[0].dirty_ids == {"a"}
    assert not contaminated([split], "docs", [], confidence=0.95)[0].dirty_ids


def test_splits_of_both_units_in_one_pass():
    english, korean = Split.of("e", {"a": ENGLISH}), Split.of("k", {"b": KOREAN})
    found = contaminated([english, korean], "docs", [KOREAN + ENGLISH], confidence=0.95)
    assert [(f.task, f.dirty.value) for f in found] == [("e", 1.0), ("k", 1.0)]


@pytest.mark.parametrize("text", ["\ud800 lone surrogate", "\x00", "a\u0301" * 50])
def test_odd_text(text):
    contaminated([Split.of("t", {"a": text})], "docs", [text], confidence=0.95)
