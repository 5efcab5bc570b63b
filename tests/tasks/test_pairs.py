"""Pairs: leading sentences of paragraphs, half swapped by a bit of their hash, cut without harm to a letter."""

import random
import unicodedata

from seedbed.corpora import Document
from seedbed.tasks.pairs import PairsConfig, cut
from tests.tasks.corpus import documents

LONG = "이 함수는 목록의 항목을 키에 따라 정렬하고 새 목록을 돌려준다 and says so in a long enough line."


def pairs(**changed: int) -> PairsConfig:
    values = {"name": "pairs", "num_train": 60, "num_valid": 60, "num_test": 60, **changed}
    return PairsConfig.parse(values, where="task")


def test_labels_tell_the_order_and_are_balanced() -> None:
    task, found = pairs(), documents(60)
    facts = task.learn(found)
    assert facts.labels == ("swapped", "in_order")
    chosen = task.examples(found, split="train", facts=facts)
    assert [sum(e.label == label for e in chosen) for label in (0, 1)] == [30, 30]
    by_id = {document.id: document for document in found}
    for example in chosen:
        first, second = by_id[example.id].text.split("\n\n")
        assert (example.text, example.pair) == ((first, second) if example.label else (second, first))


def test_the_choice_does_not_depend_on_the_order_of_documents() -> None:
    task, found = pairs(), documents(60)
    facts = task.learn(found)
    chosen = task.examples(found, split="train", facts=facts)
    random.Random(5).shuffle(found)
    assert task.examples(found, split="train", facts=facts) == chosen


def test_a_copied_pair_counts_once() -> None:
    found = [Document(str(n), f"{LONG}\n\n{LONG[::-1]}", {}) for n in range(9)]
    task = pairs()
    assert len(task.examples(found, split="train", facts=task.learn(found))) == 1


def test_sentences_are_lines_of_enough_characters_that_lead_paragraphs() -> None:
    task = pairs(max_characters=40)
    second = "새 목록은 처음 목록과 길이가 같고 항목의 순서만 다르다는 뜻이다! More of it."
    text = f"Short. {LONG}\n\n  Too short. Yes?\n\n And:\n      {second}\n\nAnd. {LONG} {LONG[1:]}"
    assert task.sentences(text) == (LONG[:40], "And: " + second.split("!")[0][:35])
    assert task.sentences(f"{LONG} {LONG[1:]}") is None, "one paragraph"
    assert task.sentences(f"{LONG}\n\n{LONG}") is None, "two equal sentences have no order"
    assert task.sentences(f"{LONG}\n\n{LONG} {LONG[::-1]}") == (LONG[:40], LONG[::-1][:40])
    assert task.sentences(f"{LONG}\n\nshort.") is None
    assert task.sentences("") is None


def test_no_letter_loses_its_marks_by_cutting() -> None:
    assert cut("abc", 5) == "abc"
    assert cut("abcdef", 3) == "abc"
    decomposed = unicodedata.normalize("NFD", "é" * 10)
    for count in range(1, 20):
        kept = cut(decomposed, count)
        assert len(kept) <= count
        assert unicodedata.normalize("NFC", kept) == "é" * (len(kept) // 2)
    jamo = unicodedata.normalize("NFC", "한국어" * 4)
    assert cut(jamo, 5) == "한국어한국", "composed syllables are cut between letters"
