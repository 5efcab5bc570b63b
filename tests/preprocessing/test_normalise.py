"""Normalisation: Hangul composed, joiners kept, layout kept, applied twice the same."""

import unicodedata

import pytest

from seedbed.preprocessing.normalise import Normalisation

NFC = Normalisation()


@pytest.mark.parametrize(
    "text, expected",
    [
        (unicodedata.normalize("NFD", "한국어 각하"), "한국어 각하"),
        ("ㅋㅋㅋ ㅠㅠ", "ㅋㅋㅋ ㅠㅠ"),  # compatibility jamo are letters of their own
        ("👩\u200d👩\u200d👧 ok", "👩\u200d👩\u200d👧 ok"),
        ("a\x00b\x07c\ufeffd\ud800e", "abcde"),
        ("a\r\nb\rc\x0cd\u2028e\x85f", "a\nb\nc\nd\ne\nf"),
        ("def f():  \n    return 1\t \n\n\n\n\nend  ", "def f():\n    return 1\n\nend"),
        ("ｆｕｌｌ ﬁ ①", "ｆｕｌｌ ﬁ ①"),
        (" \n\t ", ""),
    ],
)
def test_nfc(text: str, expected: str) -> None:
    assert NFC.apply(text) == expected
    assert NFC.apply(expected) == expected


def test_nfkc() -> None:
    nfkc = Normalisation(form="NFKC")
    assert nfkc.apply("ｆｕｌｌ ﬁ ①") == "full fi 1"
    assert nfkc.apply(unicodedata.normalize("NFD", "한")) == "한"


def test_applying_twice_changes_nothing() -> None:
    import random

    draw = random.Random(0)
    alphabet = "ab \t\n\r\x0b\x0c\x85\u2028\ufeff\x00\u1112\u1161\u11ab\u0301é가\u200d"
    for form in ("NFC", "NFKC"):
        once = Normalisation(form=form)
        for _ in range(3000):
            text = once.apply("".join(draw.choices(alphabet, k=12)))
            assert once.apply(text) == text
