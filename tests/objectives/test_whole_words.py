"""Whole words: against the official code's way of going through them one by one, counts, Korean."""

import pickle
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from tokenizers import Encoding

from seedbed.config import UserError
from seedbed.data.randomness import uniform
from seedbed.objectives.masking import Masking
from seedbed.objectives.whole_words import WholeWordsConfig, choose_words
from seedbed.tokenization import (
    ByteLevelBPEConfig,
    Vocabulary,
    WordPieceConfig,
    load_tokenizer,
    save_tokenizer,
)
from tests.models.families import WORDPIECE

LENGTH = 40
# of every three ids one begins a word
STARTS = np.array([1] * 5 + [int(index % 3 == 0) for index in range(5, WORDPIECE.size)], np.bool_)
VOCABULARY = replace(WORDPIECE, word_starts=STARTS.tobytes())
UNIT = WholeWordsConfig(name="whole_words", longest=6)


def rows_of(num_rows: int, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """Rows with padding, unknown tokens and words of one to a dozen tokens."""
    rows_BL = np.random.default_rng(seed).integers(5, WORDPIECE.size, (num_rows, LENGTH))
    rows_BL[:, 0] = WORDPIECE.cls_id
    rows_BL[:, 30] = WORDPIECE.sep_id
    rows_BL[::3, 11] = WORDPIECE.unk_id
    rows_BL[::4, 31:] = WORDPIECE.pad_id
    rows_BL[::5, 3:20] = 7  # a word of seventeen
    return rows_BL


def words_of(row_L: npt.NDArray[np.int64], longest: int) -> list[list[int]]:
    """Positions by word, going from left to right."""
    words: list[list[int]] = []
    after_special = True
    for place, token in enumerate(row_L.tolist()):
        if token in WORDPIECE.special_ids:
            after_special = True
            continue
        if after_special or STARTS[token] or len(words[-1]) == longest:
            words.append([])
        words[-1].append(place)
        after_special = False
    return words


def by_hand(rows_BL: npt.NDArray[np.int64], uniforms_BL: npt.NDArray[np.float64], share: float) -> list[int]:
    """One row, one word at a time, as google-research/bert's create_pretraining_data.py describes it."""
    chosen: list[int] = []
    for row, row_L in enumerate(rows_BL):
        words = words_of(row_L, UNIT.longest)
        room = max(1, int(np.floor(share * sum(map(len, words)) + 0.5)))
        for word in sorted(words, key=lambda word: uniforms_BL[row, word[0]]):
            if len(word) <= room:
                chosen += [row * LENGTH + place for place in word]
                room -= len(word)
    return sorted(chosen)


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5, 0.99])
def test_equal_to_going_through_words_one_by_one(share: float) -> None:
    rows_BL = rows_of(200)
    uniforms_BL = uniform(0, "x", 0, 200, LENGTH)
    found = UNIT.prepare(VOCABULARY, share=share)(rows_BL, uniforms_BL=uniforms_BL)
    assert found.tolist() == by_hand(rows_BL, uniforms_BL, share)


def test_all_of_a_word_or_none_and_the_number_asked_for() -> None:
    rows_BL = rows_of(3000)
    batch = Masking(share=0.15, mask=0.8, random=0.1, keep=0.1, unit=UNIT).prepare(VOCABULARY)(rows_BL, 0, 0)
    chosen = set(batch["masked_index"].tolist())
    assert not set(np.flatnonzero(np.isin(rows_BL, WORDPIECE.special_ids)).tolist()) & chosen
    missing = 0
    for row, row_L in enumerate(rows_BL):
        words = words_of(row_L, UNIT.longest)
        taken = [[row * LENGTH + place in chosen for place in word] for word in words]
        assert all(all(word) or not any(word) for word in taken)
        asked = int(np.floor(0.15 * sum(map(len, words)) + 0.5))
        number = sum(map(sum, taken))
        assert number <= asked
        missing += asked - number
    # where no single token is left to fill the rest, a few fewer than asked for
    assert 0 < missing / len(chosen) < 0.02


def test_shares_by_chi_square_are_drawn_for_each_token() -> None:
    rows_BL = rows_of(8000)
    masking = Masking(share=0.15, mask=0.8, random=0.1, keep=0.1, unit=UNIT)
    batch = masking.prepare(VOCABULARY)(rows_BL, 0, 1)
    chosen_N = batch["masked_index"].numpy()
    written_N, original_N = batch["input_ids"].numpy().ravel()[chosen_N], batch["labels"].numpy()
    masked = int((written_N == WORDPIECE.mask_id).sum())
    kept = int((written_N == original_N).sum())
    by_accident = 0.1 / (WORDPIECE.size - 5)
    expected = np.array([0.8, 0.1 + by_accident, 0.1 - by_accident]) * len(chosen_N)
    assert stats.chisquare([masked, kept, len(chosen_N) - masked - kept], expected).pvalue > 1e-3


def test_every_word_of_a_length_is_chosen_alike() -> None:
    row_L = np.array([2, *[6, 7, 8] * 12, 3])  # twelve words of three tokens
    rows_BL = np.tile(row_L, (20_000, 1))
    chosen = UNIT.prepare(VOCABULARY, share=0.25)(
        rows_BL, uniforms_BL=uniform(3, "x", 0, len(rows_BL), len(row_L))
    )
    counts = np.bincount(chosen % len(row_L), minlength=len(row_L))
    assert counts.sum() == 20_000 * 9
    assert stats.chisquare(counts[1:-1:3]).pvalue > 1e-3
    assert (counts[1:-1:3] == counts[2:-1:3]).all() and (counts[1:-1:3] == counts[3:-1:3]).all()


def test_rows_without_text_and_words_larger_than_the_room() -> None:
    rows_BL = np.full((2, LENGTH), WORDPIECE.pad_id)
    rows_BL[1, 1:7] = 7
    found = UNIT.prepare(VOCABULARY, share=0.15)(rows_BL, uniforms_BL=uniform(0, "x", 0, 2, LENGTH))
    assert found.size == 0
    cut = WholeWordsConfig(name="whole_words", longest=1).prepare(VOCABULARY, share=0.15)
    assert cut(rows_BL, uniforms_BL=uniform(0, "x", 0, 2, LENGTH)).size == 1


def test_a_tokenizer_without_marks_is_refused() -> None:
    with pytest.raises(UserError, match="does not say where words begin"):
        UNIT.prepare(WORDPIECE, share=0.15)


def test_a_masker_travels_to_a_loaders_worker() -> None:
    masker = Masking(share=0.15, mask=0.8, random=0.1, keep=0.1, unit=UNIT).prepare(VOCABULARY)
    again = pickle.loads(pickle.dumps(masker))  # noqa: S301
    rows_BL = rows_of(4)
    assert np.array_equal(again(rows_BL, 3, 5)["input_ids"], masker(rows_BL, 3, 5)["input_ids"])


TEXTS = [
    "나는 어제 도서관에서 책을 읽었습니다.",
    "함수는 파일을 읽고, 결과를 저장합니다!",
    "The tokenizer reads Korean words, and unbelievable ones.",
    "서울에 사는 친구가 KTX를 타고 부산까지 갔다.",
]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("kind", ["wordpiece", "byte_level_bpe"])
def test_korean_is_masked_by_eojeol(kind: str, form: str, tmp_path: Path) -> None:
    """A word ends at a blank, of WordPiece at punctuation too; told from the text, not from our table."""
    config = (
        WordPieceConfig(name="wordpiece", vocab_size=160, lowercase=True)
        if kind == "wordpiece"
        else ByteLevelBPEConfig(name="byte_level_bpe", vocab_size=300)
    )
    save_tokenizer(config.train(lambda: TEXTS), config, folder=tmp_path)
    vocabulary, tokenizer = Vocabulary.load(tmp_path), load_tokenizer(tmp_path)
    choose = WholeWordsConfig(name="whole_words", longest=60).prepare(vocabulary, share=0.4)
    for text in TEXTS:
        encoding = tokenizer.encode(unicodedata.normalize(form, text))
        words = (
            encoding.word_ids
            if kind == "wordpiece"
            else [
                None if ids is None else blanks_before(encoding, text, form, n)
                for n, ids in enumerate(encoding.word_ids)
            ]
        )
        assert len(set(words) - {None}) >= len(text.split()), "a word for each eojeol at least"
        chosen_words: set[int | None] = set()
        for draw in range(40):
            uniforms_BL = uniform(0, "x", draw, 1, len(words))
            chosen = {int(n) for n in choose(np.array([encoding.ids]), uniforms_BL=uniforms_BL)}
            hit = {words[place] for place in chosen}
            assert chosen == {place for place, word in enumerate(words) if word in hit}
            chosen_words |= hit
        assert chosen_words == set(words) - {None}


def blanks_before(encoding: Encoding, text: str, form: str, token: int) -> int:
    """Blanks of the text up to a token's last character: the number of its eojeol."""
    return unicodedata.normalize(form, text)[: encoding.offsets[token][1]].count(" ")


def test_choosing_is_named_by_its_function() -> None:
    found = choose_words(
        rows_of(5),
        special_ids=WORDPIECE.special_ids,
        begins_word_V=STARTS,
        longest=6,
        share=0.15,
        uniforms_BL=uniform(0, "x", 0, 5, LENGTH),
    )
    assert (np.diff(found) > 0).all()
