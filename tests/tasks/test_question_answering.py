"""Answers in windows: BERT's cutting, the official scripts' comparison on golden cases, Hugging Face's logits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.tasks.answer_texts import compare, normalised
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.tasks.question_answering import QuestionAnswering, QuestionAnsweringConfig
from seedbed.tasks.windows import EncodedWindows, best_answers, cut_windows, owners
from seedbed.tokenization import Vocabulary, load_tokenizer
from tests.conformance import check_learner
from tests.tasks.corpus import write_backbone

ENCODER = EncoderClassifierConfig.parse({"name": "encoder", "weights": "pretrained"}, where="classifier")
CONTEXT = "sort the rows of a list by their keys 그물의 층을 만들고 가중치를 더한다 😀 " * 4
ANSWER = "가중치를 더한다"
PLACE = CONTEXT.index(ANSWER, 100)


def task(**changed: Any) -> QuestionAnsweringConfig:
    values = {"name": "question_answering", "doc_stride": 8, "max_question": 12, **changed}
    return QuestionAnsweringConfig.parse(values, where="task")


FOUND = [
    Document("q1", CONTEXT, {"question": "What is done? 무엇을", "answers": json.dumps([[ANSWER, PLACE]])}),
    Document("q2", CONTEXT, {"question": "list " * 30, "answers": "[]"}),
    Document("q3", "list rows", {"question": "what?", "answers": '[["list", 0], ["rows", 5]]'}),
]


# By the scripts' own rules: (script, predicted, answers, exact, F1).
GOLDEN = [
    ("squad", "The Cat, sat!", ["cat sat"], 1.0, 1.0),
    ("squad", "cat", ["the cat sat"], 0.0, 2 / 3),
    ("squad", "cat cat", ["cat"], 0.0, 2 / 3),
    ("squad", "dog", ["cat", "a dog"], 1.0, 1.0),
    ("squad2", "", [], 1.0, 1.0),
    ("squad2", "The?", [], 1.0, 1.0),
    ("squad2", "something", [], 0.0, 0.0),
    # nothing is left of an answer: 2.0 does not count it, 1.1 and KorQuAD count it as matched, with no F1
    ("squad2", "", ["the", "cat"], 0.0, 0.0),
    ("squad2", "cat", ["the", "cat"], 1.0, 1.0),
    ("squad2", "", ["the", "?"], 1.0, 1.0),
    ("squad", "", ["the", "cat"], 1.0, 0.0),
    ("squad", "cat!", ["the", "cat food"], 0.0, 2 / 3),
    ("korquad", "!", ["?"], 1.0, 0.0),
    ("korquad", "《》", ["서울", "‘’"], 1.0, 0.0),
    ("squad", "the", ["cat"], 0.0, 0.0),
    ("squad2", "the", ["cat"], 0.0, 0.0),
    ("squad", "Theatre another", ["theatre another"], 1.0, 1.0),
    ("korquad", "《학생회관》 계단", ["학생회관 계단"], 1.0, 1.0),
    ("korquad", "1989년 2월", ["1989년 2월 15일"], 0.0, 14 / 17),
    ("korquad", "서울", ["서울시"], 0.0, 0.8),
    ("korquad", "the 책", ["책"], 0.0, 0.4),
    ("korquad", "부산", ["서울"], 0.0, 0.0),
]


@pytest.mark.parametrize(("script", "predicted", "answers", "exact", "f1"), GOLDEN)
def test_comparison_of_golden_cases(
    script: Any, predicted: str, answers: list[str], exact: float, f1: float
) -> None:
    assert compare(predicted, answers, script=script) == pytest.approx((exact, f1))


def test_normalisation_of_both_scripts() -> None:
    assert normalised("An  Owl's the-nest a", script="squad") == "owls thenest"
    assert normalised("‘그’(A.)  the", script="korquad") == "그 a the"


@pytest.fixture(scope="module", params=["electra", "roberta", "bert"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp(request.param), family=request.param)


def encode(backbone: Path, given: QuestionAnsweringConfig, max_length: int = 40) -> EncodedWindows:
    facts = given.learn(FOUND)
    examples = given.examples(FOUND, split="train", facts=facts)
    pad_id = Vocabulary.load(backbone).pad_id
    return given.encode(examples, load_tokenizer(backbone), facts=facts, max_length=max_length, pad_id=pad_id)


def test_windows_cover_the_paragraph_and_begin_a_stride_apart(backbone: Path) -> None:
    tokenizer, encoded = load_tokenizer(backbone), encode(backbone, task())
    whole = tokenizer.encode(CONTEXT, add_special_tokens=False).ids
    for question in (0, 1):
        rows = [n for n, window in enumerate(encoded.windows) if window.question == question]
        assert len(rows) > 3
        covered: dict[int, int] = {}
        best = 0
        for turn, row in enumerate(rows):
            window = encoded.windows[row]
            assert len(encoded.ids[row]) <= 40
            for place in range(len(window.offsets)):
                token = int(encoded.ids[row][window.first + place])
                assert covered.setdefault(turn * 8 + place, token) == token
            best += int(window.best.sum())
        assert [covered[n] for n in range(len(covered))] == whole
        assert best == len(whole), "each token has its most context in one window"
    asked = encoded.windows[next(n for n, w in enumerate(encoded.windows) if w.question == 1)].first
    assert asked <= 12 + 3, "a long question is cut"
    lengths = [len(tokenizer.encode(d.meta["question"], add_special_tokens=False).ids) for d in FOUND]
    assert encoded.cut == {n for n, length in enumerate(lengths) if length > 12}, (
        "examples' numbers, not rows'"
    )
    assert 1 in encoded.cut and 2 not in encoded.cut


def test_each_piece_is_its_windows_where_most_stands_around_it() -> None:
    for sizes, step in (([0], 4), ([3], 9), ([10, 10, 8], 4), ([10, 10, 10], 10), ([10] * 5 + [9], 3)):
        count = step * (len(sizes) - 1) + sizes[-1]
        around = np.full((len(sizes), count), -1.0)
        for window, size in enumerate(sizes):
            for place in range(size):
                around[window, window * step + place] = min(place, size - 1 - place) + 0.01 * size
        for window, (size, best) in enumerate(zip(sizes, owners(sizes, step=step), strict=True)):
            here = around[:, window * step :][:, :size]
            np.testing.assert_array_equal(best, here.argmax(0) == window)


@pytest.mark.parametrize("doc_stride", [1, 3, 5, 99])
def test_a_letter_of_many_pieces_that_a_window_cuts_has_its_most_context_once(
    backbone: Path, doc_stride: int
) -> None:
    tokenizer, context = load_tokenizer(backbone), "😀뷁 그물의 층 😀😀 list " * 9
    windows, cut = cut_windows(
        tokenizer, "뭐?", context, number=5, max_length=20, doc_stride=doc_stride, max_question=12
    )
    whole = tokenizer.encode(context, add_special_tokens=False).ids
    step = max(1, min(doc_stride, max(len(window.offsets) for _, window in windows)))
    owned = [
        (turn * step + place, encoding.ids[window.first + place])
        for turn, (encoding, window) in enumerate(windows)
        for place in np.flatnonzero(window.best).tolist()
    ]
    assert sorted(owned) == list(enumerate(whole)) and len(windows) > 2 and not cut


def test_an_answer_is_learned_where_it_is_whole(backbone: Path) -> None:
    encoded = encode(backbone, task())
    tokenizer = load_tokenizer(backbone)
    seen = 0
    for ids, window, (start, end) in zip(encoded.ids, encoded.windows, encoded.ends.tolist(), strict=True):
        if start or end:
            assert window.question != 1, "no answer, nothing to learn but the first token"
            text = tokenizer.decode(ids[start : end + 1].tolist()).strip()
            wanted = {0: ANSWER, 2: "list"}[window.question]
            first, last = window.offsets[start - window.first][0], window.offsets[end - window.first][1]
            assert FOUND[window.question].text[first:last].strip() == wanted
            assert text.replace(" ", "") == wanted.replace(" ", "")
            seen += window.question == 0
    assert seen >= 1


def test_what_is_learned_reads_back_as_the_answer(backbone: Path) -> None:
    given = task(no_answer_threshold=0.0)
    encoded = encode(backbone, given)
    facts = given.learn(FOUND)
    examples = given.examples(FOUND, split="train", facts=facts)
    outputs = []
    for ids, ends in zip(encoded.ids, encoded.ends, strict=True):
        logits_L2 = np.zeros((len(ids), 2))
        logits_L2[ends, [0, 1]] = 9.0
        outputs.append(logits_L2)
    frame = given.table(1, examples, encoded, outputs, facts)
    assert frame["predicted"].to_list() == [ANSWER, "", "list"]
    assert frame["exact_match"].to_list() == [1, 1, 1]
    assert given.scores(frame, facts) == {"exact_match": 1.0, "f1": 1.0}
    assert json.loads(frame["n_best"][0])[0] == [ANSWER, 18.0]
    # without a threshold every question is answered
    assert task().table(1, examples, encoded, outputs, facts)["predicted"].to_list()[1] != ""


def test_an_empty_answer_stands_nowhere(backbone: Path) -> None:
    """Whether it is refused, or no start stands before an end."""
    for given in (task(num_best=1, doc_stride=99), task(num_best=1, doc_stride=99, no_answer_threshold=-9.0)):
        encoded = encode(backbone, given, max_length=200)
        examples = given.examples(FOUND, split="train", facts=given.learn(FOUND))
        assert len(encoded) == 3
        outputs = []
        for ids, window in zip(encoded.ids, encoded.windows, strict=True):
            logits_L2 = np.zeros((len(ids), 2))
            logits_L2[window.first + 1, 0] = logits_L2[window.first, 1] = 9.0
            outputs.append(logits_L2)
        for told in given.answers(examples, encoded, outputs, given.learn(FOUND)):
            assert (told["answer"], told["start"], told["end"]) == ("", None, None)
        outputs[0][encoded.windows[0].first + 1, 1] = 10.0
        [told, *_] = given.answers(examples, encoded, outputs, given.learn(FOUND))
        if given.no_answer_threshold is None:
            assert told["answer"] == CONTEXT[told["start"] : told["end"]] != ""


def test_best_answers_are_those_of_all_pairs(backbone: Path) -> None:
    encoded = encode(backbone, task())
    window = encoded.windows[1]
    rng = np.random.default_rng(1)
    logits_L2 = rng.normal(size=(40, 2))
    size = len(window.offsets)
    inside = logits_L2[window.first : window.first + size]
    scores = [
        inside[a, 0] + inside[b, 1] for a in range(size) for b in range(a, min(a + 4, size)) if window.best[a]
    ]
    found = best_answers(window, logits_L2, num_best=size, max_answer=4)
    assert [one.score for one in found] == pytest.approx(sorted(scores, reverse=True)[:size])
    assert all(one.start <= one.end for one in found)


def test_keeps_the_contract_of_learners(backbone: Path) -> None:
    encoded = encode(backbone, task())

    def make() -> QuestionAnswering:
        return task().learner(ENCODER.network(backbone, "spans", num_outputs=2, seed=1))

    # the same number added to every position changes nothing
    check_learner(
        make, encoded.collate(np.arange(6)), without_gradient=["classifier.head.out.bias"], steps=120
    )


def test_hugging_face_gives_the_same_logits_and_loss(backbone: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForQuestionAnswering

    encoded = encode(backbone, task())
    network = ENCODER.network(backbone, "spans", num_outputs=2, seed=1).eval()
    ENCODER.save(tmp_path, network, labels=None)
    theirs = AutoModelForQuestionAnswering.from_pretrained(tmp_path).eval()
    batch = encoded.collate(np.arange(len(encoded)))
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    learner = task().learner(ENCODER.load(tmp_path, "spans")).eval()
    with torch.no_grad():
        wanted = theirs(**inputs, start_positions=batch["labels"][:, 0], end_positions=batch["labels"][:, 1])
        ours = learner.logits(batch)
    kept = batch["attention_mask"].bool()
    assert torch.allclose(ours[..., 0][kept], wanted.start_logits[kept], atol=1e-5, rtol=0)
    assert torch.allclose(ours[..., 1][kept], wanted.end_logits[kept], atol=1e-5, rtol=0)


def test_faults_are_the_users() -> None:
    with pytest.raises(UserError, match="does not stand at 1; preprocess it without"):
        task().example(Document("d", "글", {"question": "?", "answers": '[["글", 1]]'}), task().learn([]))
    with pytest.raises(UserError, match="max_question 12 leaves no room"):
        task().encode([], None, facts=task().learn([]), max_length=16, pad_id=0)  # type: ignore[arg-type]
