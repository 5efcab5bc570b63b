"""Spelling: bytes and marks of any script, words as they are written."""

import unicodedata
from pathlib import Path

import pytest

from seedbed.tokenization import encode_texts, load_tokenizer, read_words, spell_all
from seedbed.tokenization.characters import BEGIN_WORD, END_OF_TEXT, END_WORD, FILLER, spell
from tests.tokenization.test_word_level import save

TEXTS = [
    "모든 사람은 뷁뷁, 자유로우며",
    "All zebras are born—free 😀.",
    "漢字 mixed 글자ㅋㅋ ㄱㄴ",
    "",
]


def test_a_word_is_its_bytes_between_marks() -> None:
    assert spell("a한", max_characters=8) == [
        BEGIN_WORD, 98, 0xED + 1, 0x95 + 1, 0x9C + 1, END_WORD, FILLER, FILLER,
    ]  # fmt: skip
    assert spell(None, max_characters=5) == [BEGIN_WORD, END_OF_TEXT, END_WORD, FILLER, FILLER]
    assert spell("x" * 60, max_characters=50) == [BEGIN_WORD, *[121] * 48, END_WORD]
    assert spell("한국어", max_characters=8)[1:-1] == [byte + 1 for byte in "한국어".encode()[:6]]


def test_numbers_are_those_of_the_released_code_plus_one() -> None:
    """bilm/data.py: bytes 0 to 255, <S> 256, </S> 257, begin 258, end 259, filler 260."""
    assert (END_OF_TEXT, BEGIN_WORD, END_WORD, FILLER) == (258, 259, 260, 261)
    every = spell_all([chr(code) for code in range(1, 0x3000, 7)], max_characters=6)
    assert every.min() > 0 and every.max() == FILLER


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_words_are_read_as_written_unknown_ones_too(form: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save(tmp_path, vocab_size=40))
    given = [unicodedata.normalize(form, text) for text in TEXTS]
    found = read_words(tokenizer, given, max_length=64)
    assert found[0] == [None, "모든", "사람은", "뷁뷁", ",", "자유로우며", None]
    assert found[1] == [None, "All", "zebras", "are", "born", "—", "free", "😀", ".", None]
    assert found[2] == [None, "漢字", "mixed", "글자ㅋㅋ", "ㄱㄴ", None]
    assert found[3] == [None, None]


@pytest.mark.parametrize("max_length", [5, 64])
def test_positions_agree_with_the_ids(max_length: int, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save(tmp_path, vocab_size=40))
    words = tokenizer.get_vocab()
    for pairs in (None, TEXTS[::-1]):
        read = read_words(tokenizer, TEXTS, pairs, max_length=max_length)
        ids = encode_texts(tokenizer, TEXTS, pairs, max_length=max_length)
        for spelled, (numbers, _, _) in zip(read, ids, strict=True):
            expected = [
                words["</s>"] if word is None else words.get(word, words["<unk>"]) for word in spelled
            ]
            assert numbers == expected and len(numbers) <= max_length
