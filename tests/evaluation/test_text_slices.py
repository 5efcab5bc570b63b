"""Slices and errors: Korean in any composition, every example in one slice, texts that cannot harm a page."""

import unicodedata

import numpy as np
import pytest

from seedbed.evaluation.report import render
from seedbed.evaluation.text_slices import Text, errors, named, script, shown, slices
from tests.evaluation.examples import HOSTILE, LABELS, answered, classified, findings


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("한국어 문장입니다.", "Hangul"),
        (unicodedata.normalize("NFD", "한국어 문장입니다."), "Hangul"),
        ("ㅋㅋㅋ ㅠㅠ 42", "Hangul"),
        ("GPU 메모리가 부족합니다", "Hangul and others"),
        ("Only English, ça va", "other letters"),
        ("日本語です", "other letters"),
        ("🙂 123 …", "no letters"),
        ("", "no letters"),
    ],
)
def test_script(text, name):
    assert script(text) == name


def test_lengths_are_thirds_of_the_split_and_composition_does_not_count():
    texts = [Text("가" * n) for n in range(1, 10)]
    names = named(texts, [0.0] * 9)["length"]
    assert [name.split()[0] for name in names] == ["short"] * 3 + ["middle"] * 3 + ["long"] * 3
    decomposed = [Text(unicodedata.normalize("NFD", text.text)) for text in texts]
    assert named(decomposed, [0.0] * 9)["length"] == names


def test_every_example_falls_in_one_slice_of_a_kind_and_accuracies_are_theirs():
    run = classified("electra", 0.7)
    texts = {i: Text("한국어" if n % 2 else "english") for n, i in enumerate(run.ids)}
    unknown = {i: float(n % 5 == 0) for n, i in enumerate(run.ids)}
    found = slices(run, texts, unknown, confidence=0.95, resamples=200, seed=0)
    kinds = {kind: [s for s in found if s.kind == kind] for kind in ("script", "unknown pieces")}
    for parts in kinds.values():
        assert sum(s.score.n for s in parts) == run.n
        assert all(s.score.low <= s.score.value <= s.score.high for s in parts)
    right_SN = run.predicted_SN == run.labels_N
    hangul = next(s for s in kinds["script"] if s.name == "Hangul")
    assert hangul.score.value == pytest.approx(right_SN[:, 1::2].mean())
    known = dict.fromkeys(run.ids, 0.0)
    same = slices(run, {i: Text("한국어") for i in run.ids}, known, confidence=0.95, resamples=200, seed=0)
    assert same == []


def test_answers_that_are_no_labels_have_slices_and_errors_too():
    run = answered("electra", 0.7, seeds=3)
    texts = {i: Text("한국어" if n % 2 else "english") for n, i in enumerate(run.ids)}
    found = slices(run, texts, dict.fromkeys(run.ids, 0.0), confidence=0.95, resamples=200, seed=0)
    right_SN = np.stack([(part["label"] == part["predicted"]).to_numpy() for part in run.parts])
    hangul = next(s for s in found if s.name == "Hangul")
    assert (hangul.metric, hangul.score.n) == ("exact_match", 60)
    assert hangul.score.value == pytest.approx(right_SN[:, 1::2].mean())
    wrong = errors(run, texts)
    assert len(wrong) == int((2 * (~right_SN).sum(0) > 3).sum()) > 0
    # of as many wrong seeds, an answer that is further off comes first: class 2 for class 0 is two off
    off = [abs(int(e.label[-1]) - int(e.predicted[-1])) for e in wrong if e.wrong == 3]
    assert off == sorted(off, reverse=True) and set(off) == {1, 2}


def test_errors_are_those_that_most_seeds_make():
    run = classified("electra", 0.6, seeds=3)
    wrong_N = (run.predicted_SN != run.labels_N).sum(0)
    found = errors(run, {i: Text(HOSTILE) for i in run.ids})
    assert len(found) == int((wrong_N >= 2).sum()) > 0
    assert [e.wrong for e in found] == sorted((e.wrong for e in found), reverse=True)
    for error in found:
        place = run.ids.index(error.id)
        assert error.label == LABELS[run.labels_N[place]] != error.predicted
        assert np.sum(run.predicted_SN[:, place] != run.labels_N[place]) == error.wrong


def test_a_hostile_text_stands_in_the_page_as_text():
    page = render(findings())
    assert "Errors of" in page and "한국어 문장" in page
    assert "<img src=x" not in page and "&lt;img src=x" in page
    assert "{{ 7 * 7 }}" in page  # not evaluated by the template
    assert "\u202e" not in page and "\\u202e" in page
    assert page.count("<details") == page.count("</details>")


def test_shown_is_one_short_line():
    assert shown("a\n\tb\x00c") == "a b\\u0000c"
    assert shown("가" * 500) == "가" * 400 + " …"
    assert shown("👩\u200d💻") == "👩\u200d💻"
