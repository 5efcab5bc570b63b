"""Filters: the shares by hand, Korean and English, repeated and ordinary."""

import itertools
import unicodedata

import pytest

from seedbed.preprocessing.filters import (
    LengthFilter,
    RepetitionFilter,
    duplicate_share,
    looping_share,
    top_ngram_share,
)

KOREAN = (
    "안녕하세요. 현재 사대, 교대 등 교원양성학교들의 예비교사들이 임용절벽에 매우 힘들어 하고 있습니다. "
    "정부 부처에서는 영양사의 영양교사화와 폭발적인 채용이 그들의 임용 절벽과는 무관하다고 합니다. "
    "조금만 생각해보면 전혀 설득력 없는 말이라고 생각합니다."
)
ENGLISH = (
    "Return the sum of the array elements over the given axis. The sum of an empty array is the "
    "neutral element. If the axis is a tuple, the sum is over all of the axes in the tuple."
)


@pytest.mark.parametrize(
    "text",
    [
        KOREAN,
        ENGLISH,
        "굳 ㅋ",
        "재밌다 ㅋㅋㅋㅋ",
        "GDNTOPCLASSINTHECLUB",
        "정말 정말 재밌어요",
        "Title\n=====\n\nText below a rule of signs, which are layout.\n-----",
        "안녕 👩\u200d👩\u200d👧 " * 2,
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert RepetitionFilter().check(text) is None


@pytest.mark.parametrize(
    "text, reason",
    [
        ("ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ", "looping letters"),
        ("재밌다재밌다재밌다재밌다재밌다", "looping letters"),
        ("ㅠㅠㅠㅠㅠㅠㅠㅠ 슬퍼", "looping letters"),
        ("hahahahahahaha so funny", "looping letters"),
        ("정말 재밌다 정말 재밌다 정말 재밌다 정말 재밌다", "repeated n-gram"),
        ("buy it now buy it now buy it now please", "repeated n-gram"),
        ("같은 줄\n같은 줄\n다른 줄", "duplicate lines"),
        ("하나\n둘\n\n하나\n둘\n\n셋 a\n넷 b\n다섯\n여섯\n일곱", "duplicate paragraphs"),
        ("\n\n".join(["같은 문단.", "다른\n하나\n둘\n셋\n넷\n다섯", "같은 문단."]), "duplicate paragraphs"),
    ],
)
def test_repetition(text: str, reason: str | None) -> None:
    assert RepetitionFilter().check(text) == reason


def test_shares_by_hand() -> None:
    assert duplicate_share(["a", "b", "a", "a"]) == 0.5
    assert duplicate_share([]) == 0
    # "가 나" three times in 8 words of one letter: 6 of 8
    assert top_ngram_share(["가", "나", "가", "나", "다", "가", "나", "라"], 2) == 6 / 8
    # overlapping uses cover each word once
    assert top_ngram_share(["a", "a", "a", "a", "x"], 2) == 4 / 5
    assert top_ngram_share(["가", "나", "가", "나"], 2) == 0  # two uses are no repetition
    assert top_ngram_share([], 2) == 0
    assert looping_share("ㅋㅋㅋㅋ 가나") == 4 / 6
    assert looping_share("ㅋㅋㅋ 가나") == 0
    assert looping_share("가나다가나다가나다가나다 라마") == 12 / 14
    assert looping_share("-------- ======") == 0


def test_shares_do_not_depend_on_the_language() -> None:
    """The same pattern of words gives the same decision in both languages."""
    english, korean = ["movie", "fun", "watch", "again", "end"], ["영화", "재밌다", "보자", "다시", "끝"]
    for pattern in ([0, 1, 2, 3, 4], [0, 1, 0, 1, 0, 1, 2, 3], [0, 1, 2, 3, 4, 0, 1]):
        decisions = {RepetitionFilter().check(" ".join(w[i] for i in pattern)) for w in (english, korean)}
        assert len(decisions) == 1


def test_length_counts_characters_not_bytes() -> None:
    length = LengthFilter(min_characters=3, max_characters=5)
    assert [length.check(text) for text in ("", "가나", "가나다", "가나다라마", "가나다라마바")] == [
        "empty",
        "too short",
        None,
        None,
        "too long",
    ]
    assert length.check(unicodedata.normalize("NFC", "가나")) == "too short"


def test_one_switches_off() -> None:
    off = RepetitionFilter(
        duplicate_lines=1, duplicate_paragraphs=1, top_2gram=1, top_3gram=1, top_4gram=1, looping_letters=1
    )
    assert off.check("ㅋㅋㅋㅋㅋㅋㅋㅋ\n" * 9) is None


def test_the_early_end_changes_nothing() -> None:
    """Where no 2-gram repeats, no longer one can."""
    import random

    draw = random.Random(0)
    for _ in range(2000):
        words = draw.choices(["a", "bb", "가", "나다"], k=draw.randrange(20))
        shares = [top_ngram_share(words, n) for n in (2, 3, 4)]
        assert all(0 <= share <= 1 for share in shares)
        for shorter, longer in itertools.pairwise(shares):
            assert shorter > 0 or longer == 0
