"""BLEU and chrF against sacrebleu 2.6.0's figures, and sums of counts against whole corpora."""

import numpy as np
import pytest

from seedbed.metrics import bleu, bleu_counts, chrf, chrf_counts
from seedbed.metrics.texts import words_of

REFERENCES = [
    "나는 오늘 학교에 갔다.",
    "The cat, which was black, sat on the mat.",
    "It costs 3,000.50 dollars - or 12-15 euros?",
    "Zwei Männer stehen am Fluss & reden.",
    "안녕하세요! 만나서 반갑습니다 😀",
    "a b",
    "",
]
WRITTEN = [
    "나는 어제 학교에 갔다.",
    "The black cat sat on the mat, which was warm.",
    "It costs 3,000.50 euros or 12-15 dollars?",
    "Zwei Maenner stehen am &quot;Fluss&quot; und reden.",
    "안녕! 반갑습니다",
    "",
    "x",
]


@pytest.mark.parametrize(
    ("chosen", "words", "characters", "chrf2"),
    [
        (range(7), 26.517288584212473, 66.5018981407843, 61.51070711183032),
        ((0, 4), 27.534765745159184, 40.48810374798159, 34.93019769132907),
        ((1,), 34.32945239845197, 70.92309352215236, 67.05063799895507),
        ((3,), 13.134549472120794, 51.86875473902336, 61.23564542682153),
        ((5,), 0.0, 0.0, 0.0),
        ((6,), 0.0, 0.0, 0.0),
    ],
)
def test_figures_are_sacrebleus(chosen: range, words: float, characters: float, chrf2: float) -> None:
    references, written = [REFERENCES[n] for n in chosen], [WRITTEN[n] for n in chosen]
    found = float(bleu(bleu_counts(references, written).sum(0)))
    assert found == pytest.approx(words, abs=1e-9)
    of_characters = bleu_counts(references, written, words="characters").sum(0)
    assert float(bleu(of_characters)) == pytest.approx(characters, abs=1e-9)
    assert float(chrf(chrf_counts(references, written).sum(0))) == pytest.approx(chrf2, abs=1e-9)


def test_one_call_scores_every_resample() -> None:
    weights_BN = np.random.default_rng(1).integers(0, 3, (20, 7)).astype(float)
    counts = bleu_counts(REFERENCES, WRITTEN), chrf_counts(REFERENCES, WRITTEN)
    together = bleu(weights_BN @ counts[0]), chrf(weights_BN @ counts[1])
    for row, weights_N in enumerate(weights_BN):
        chosen = np.repeat(np.arange(7), weights_N.astype(int))
        references, written = [REFERENCES[n] for n in chosen], [WRITTEN[n] for n in chosen]
        assert together[0][row] == pytest.approx(float(bleu(bleu_counts(references, written).sum(0))))
        assert together[1][row] == pytest.approx(float(chrf(chrf_counts(references, written).sum(0))))


def test_a_text_and_itself_score_a_hundred() -> None:
    texts = [text for text in REFERENCES if len(text.split()) > 3]
    assert float(bleu(bleu_counts(texts, texts).sum(0))) == pytest.approx(100)
    assert float(chrf(chrf_counts(texts, texts).sum(0))) == pytest.approx(100)


def test_words_are_those_of_mteval() -> None:
    assert words_of("It's 3,000.50 (or 12-15)! &amp; 가.나", "13a") == [
        "It's", "3,000.50", "(", "or", "12", "-", "15", ")", "!", "&", "가", ".", "나",
    ]  # fmt: skip
    assert words_of(" 가 나\tb ", "characters") == ["가", "나", "b"]
