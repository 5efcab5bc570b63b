"""Whole words as tokens: order by frequency, both spellings of Hangul, marks, unknown words."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.tokenization import (
    ByteLevelBPEConfig,
    Vocabulary,
    WordLevelConfig,
    encode_batch,
    encode_texts,
    load_tokenizer,
    save_tokenizer,
)
from tests.data.bilingual import TEXTS


def save(folder: Path, **changes: int) -> Path:
    config = WordLevelConfig.parse({"name": "word_level", "vocab_size": 300} | changes, "tokenizer")
    save_tokenizer(config.train(lambda: TEXTS), config, folder=folder)
    return folder


def test_ids_follow_frequency_then_spelling(tmp_path: Path) -> None:
    vocabulary = Vocabulary.load(save(tmp_path, vocab_size=100))
    spaced = " ".join(TEXTS)
    for mark in ".,;":
        spaced = spaced.replace(mark, f" {mark} ")
    counts = Counter(spaced.split())
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    assert list(vocabulary.whole_words) == ["<pad>", "<unk>", "</s>", "<mask>", *ranked[:96]]
    assert vocabulary.special_ids == (0, 1, 2, 3)
    assert vocabulary.cls_id == vocabulary.sep_id == 2
    assert "whole_words" not in repr(vocabulary)


def test_the_same_text_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (save(tmp_path / name) / "tokenizer.json" for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_both_spellings_of_hangul_are_one_word_and_case_is_kept(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save(tmp_path))
    composed = "모든 사람은 All all 자유로우며, 漢字 😀 </s>"
    [one], [other] = (
        encode_batch(tokenizer, [unicodedata.normalize(form, composed)]) for form in ("NFC", "NFD")
    )
    words = [Vocabulary.load(tmp_path).whole_words[index] for index in one]
    # the spelt mark is text: <, /, s, > are words nobody wrote
    assert words == ["모든", "사람은", "All", "all", "자유로우며", ","] + ["<unk>"] * 6
    assert one == other


def test_a_text_stands_between_marks_and_so_do_pairs(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save(tmp_path))
    [(single, _, _), (pair, types, _)] = [
        encode_texts(tokenizer, ["All are"], max_length=9)[0],
        encode_texts(tokenizer, ["All are"], ["모든"], max_length=9)[0],
    ]
    assert [index == 2 for index in single] == [True, False, False, True]
    assert [index == 2 for index in pair] == [True, False, False, True, False, True]
    assert types == [0, 0, 0, 0, 1, 1]


def test_rare_words_are_unknown(tmp_path: Path) -> None:
    words = Vocabulary.load(save(tmp_path, min_frequency=3)).whole_words
    assert "모든" in words and "slavery" not in words
    with pytest.raises(UserError, match="no word of the train split comes 999 times"):
        save(tmp_path, min_frequency=999)


def test_parts_of_words_are_no_whole_words(tmp_path: Path) -> None:
    config = ByteLevelBPEConfig(name="byte_level_bpe", vocab_size=300)
    save_tokenizer(config.train(lambda: TEXTS), config, folder=tmp_path)
    assert Vocabulary.load(tmp_path).whole_words == ()
