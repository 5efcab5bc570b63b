"""Tags of words and characters: which piece bears one, what counts as an entity, and Hugging Face's logits."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.corpora.tagged import TaggedConfig
from seedbed.models import TokenClassifier, load_token_classifier
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.tasks.entities import entities, entity_counts, f1, macro_f1
from seedbed.tasks.tag_learner import TokenClassification
from seedbed.tasks.tagged_units import IGNORED, EncodedTags, positions_of, tags_of_units
from seedbed.tasks.token_classification import TokenClassificationConfig
from seedbed.tasks.windows import NOWHERE, cut_texts
from seedbed.tokenization import Vocabulary, load_tokenizer
from tests.conformance import check_learner
from tests.tasks.corpus import write_backbone

ENCODER = EncoderClassifierConfig.parse({"name": "encoder", "weights": "pretrained"}, where="classifier")


def task(**changed: Any) -> TokenClassificationConfig:
    return TokenClassificationConfig.parse({"name": "token_classification", **changed}, where="task")


# Golden cases: (tags, conlleval's entities, seqeval strict IOB2's entities).
GOLDEN = [
    ("B-PER I-PER O B-LOC", {("PER", 0, 2), ("LOC", 3, 4)}, {("PER", 0, 2), ("LOC", 3, 4)}),
    ("I-PER I-PER O", {("PER", 0, 2)}, set()),
    ("B-PER B-PER", {("PER", 0, 1), ("PER", 1, 2)}, {("PER", 0, 1), ("PER", 1, 2)}),
    ("B-PER I-LOC I-LOC", {("PER", 0, 1), ("LOC", 1, 3)}, {("PER", 0, 1)}),
    ("O I-LOC B-LOC I-LOC", {("LOC", 1, 2), ("LOC", 2, 4)}, {("LOC", 2, 4)}),
    ("B-PER O I-PER", {("PER", 0, 1), ("PER", 2, 3)}, {("PER", 0, 1)}),
    ("O O", set(), set()),
    ("B-a-b I-a-b", {("a-b", 0, 2)}, {("a-b", 0, 2)}),
]


@pytest.mark.parametrize(("tags", "conll", "strict"), GOLDEN)
def test_entities_of_golden_cases(tags: str, conll: set[Any], strict: set[Any]) -> None:
    assert entities(tags.split(), rule="conll") == conll
    assert entities(tags.split(), rule="strict") == strict


@pytest.mark.parametrize("rule", ["conll", "strict"])
def test_seqeval_scores_random_tags_alike(rule: Any) -> None:
    """Tags in any order, IOB2 or not; where seqeval is installed. Its macro average is over types of either side."""
    seqeval = pytest.importorskip("seqeval.metrics")
    scheme = pytest.importorskip("seqeval.scheme")
    mode = {"mode": "strict", "scheme": scheme.IOB2} if rule == "strict" else {}
    rng = np.random.default_rng(0)
    known = ["O", *(f"{mark}-{kind}" for kind in ("PER", "LOC", "기관") for mark in "BI")]
    for _ in range(200):
        actual, predicted = (
            [[known[tag] for tag in rng.integers(0, len(known), size)] for size in (1, 4, 7)]
            for _ in range(2)
        )
        _, counts_NTK = entity_counts(actual, predicted, rule=rule)
        for average, ours in (("micro", f1(counts_NTK.sum((0, 1)))), ("macro", macro_f1(counts_NTK.sum(0)))):
            theirs = seqeval.f1_score(actual, predicted, average=average, zero_division=0, **mode)
            assert float(ours) == pytest.approx(float(theirs), abs=1e-12)


def test_the_macro_average_of_a_resample_leaves_out_the_types_it_lacks() -> None:
    counts = np.array([[[1.0, 1, 1], [0, 0, 0]], [[1, 1, 1], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]]])
    assert macro_f1(counts).tolist() == [1.0, 0.5, 0.0]


def test_entity_f1_of_seqevals_own_example() -> None:
    """seqeval's README: MISC found one unit short, PER found: F1 0.50, macro 0.50."""
    actual = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    predicted = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    kinds, counts_NTK = entity_counts(actual, predicted, rule="conll")
    assert kinds == ("MISC", "PER")
    assert f1(counts_NTK.sum((0, 1))) == 0.5
    assert f1(counts_NTK.sum(0)).tolist() == [0.0, 1.0]


def test_scores_and_character_f1_equal_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(2)
    labels = ("O", "B-X", "I-X", "B-Y", "I-Y")
    actual = [[labels[n] for n in rng.integers(0, 5, 20)] for _ in range(30)]
    predicted = [[a if rng.random() < 0.7 else "B-X" for a in row] for row in actual]
    frame = pl.DataFrame({"label": actual, "predicted": predicted})
    facts = task().learn([Document("d", "", {"tags": " ".join(labels)})])
    assert facts.labels == labels
    scores = task().scores(frame, facts)
    flat = [[tag for row in rows for tag in row] for rows in (actual, predicted)]
    wanted = f1_score(*flat, labels=labels, average="macro", zero_division=1)
    assert scores["unit_macro_f1"] == pytest.approx(wanted, abs=1e-12)
    # a resample is a corpus in which sentences stand as often as they were drawn
    drawn = rng.integers(0, 30, 30)
    weights = np.bincount(drawn, minlength=30)[None].astype(np.float64)
    again = task().scores(frame[drawn.tolist()], facts)
    for name, score in task().statistics(frame, facts).items():
        assert score(weights)[0] == pytest.approx(again[name], abs=1e-12)


def test_merged_types_are_one_yes_or_no_for_each_unit() -> None:
    from sklearn.metrics import f1_score

    given = task(types="merged", metric="unit_f1")
    text = "서울 사는 김 씨 가 웃다"
    spans = [found.span() for found in re.finditer(r"\S+", text)]
    document = Document("d", text, {"tags": "B-LC O B-PS I-PS B-LC O", "spans": json.dumps(spans)})
    facts = given.learn([document])
    assert facts.labels == ("O", "I-entity")
    [one] = given.examples([document], split="test", facts=facts)
    assert one.tags == ("I-entity", "O", *["I-entity"] * 3, "O")
    rng = np.random.default_rng(3)
    actual, predicted = (
        [[facts.labels[n] for n in row] for row in rng.integers(0, 2, (20, 9))] for _ in "ab"
    )
    scores = given.scores(pl.DataFrame({"label": actual, "predicted": predicted}), facts)
    flat = [[tag for row in rows for tag in row] for rows in (actual, predicted)]
    assert scores[given.headline] == pytest.approx(f1_score(*flat, pos_label="I-entity"), abs=1e-12)
    assert "unit_f1" not in task().scores(pl.DataFrame({"label": actual, "predicted": predicted}), facts)
    for changed, words in (
        ({"rule": "strict"}, "rule strict begins"),
        ({"types": "apart"}, "of merged types"),
    ):
        with pytest.raises(UserError, match=words):
            task(**{"types": "merged", "metric": "unit_f1", **changed})


def test_the_first_piece_bears_the_tag_and_further_units_continue_it() -> None:
    places = [(0, 2), (2, 5), (6, 7), (6, 7), (7, 9)]
    words = positions_of([(0, 5), (6, 9), (10, 12)], places)
    assert words.tolist() == [0, 2, NOWHERE]
    characters = positions_of([(n, n + 1) for n in (0, 1, 2, 3, 4, 6, 7, 8)], places)
    assert characters.tolist() == [0, 0, 1, 1, 1, 2, 4, 4]
    tags = tags_of_units(characters, np.array([1, 2, 0, 0, 1]), ("O", "B-X", "I-X"))
    assert tags == ["B-X", "I-X", "I-X", "I-X", "I-X", "O", "B-X", "I-X"]
    assert tags_of_units(words, np.array([1, 0, 2, 0, 0]), ("O", "B-X", "I-X")) == ["B-X", "I-X", "O"]


def sentences(tmp_path: Path) -> list[Document]:
    """Korean characters with a blank inside an entity, and English words, in one file each."""
    korean = "".join(
        f"{c}\t{t}\n"
        for c, t in zip("그물의 층을 더한다", "BIIIIIOOOO", strict=True)
        for t in [_tag(t, "LC")]
    )
    (tmp_path / "ko.tsv").write_text(korean, encoding="utf-8")
    config = {"name": "tagged", "files": "ko.tsv", "joined_by": ""}
    [first] = TaggedConfig.parse(config, where="x").read(tmp_path)
    words = zip(
        ["sort", "the", "rows", "of", "a", "list", "😀", "by", "Wonderfulkeys"], "OOBIOOOOB", strict=True
    )
    (tmp_path / "en.tsv").write_text("".join(f"{w}\t{_tag(t, 'PS')}\n" for w, t in words), encoding="utf-8")
    config = {"name": "tagged", "files": "en.tsv", "joined_by": " "}
    [second] = TaggedConfig.parse(config, where="x").read(tmp_path)
    return [first, second]


def _tag(mark: str, kind: str) -> str:
    return "O" if mark == "O" else f"{mark}-{kind}"


@pytest.fixture(scope="module", params=["electra", "roberta"])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, EncodedTags]:
    folder = tmp_path_factory.mktemp(request.param)
    backbone = write_backbone(folder / "backbone", family=request.param)
    found = sentences(folder)
    facts = task().learn(found)
    examples = task().examples(found, split="train", facts=facts)
    pad_id = Vocabulary.load(backbone).pad_id
    return backbone, task().encode(
        examples, load_tokenizer(backbone), facts=facts, max_length=64, pad_id=pad_id
    )


def test_learned_tags_read_back_are_the_published_ones(
    made: tuple[Path, EncodedTags], tmp_path: Path
) -> None:
    """What a perfect network would be scored: every unit that a piece of its own begins is right."""
    _, encoded = made
    found = sentences(tmp_path)
    facts = task().learn(found)
    examples = task().examples(found, split="train", facts=facts)
    assert len(examples[0].tags) == 8, "blanks are no units"
    outputs = [np.eye(len(facts.labels))[np.maximum(tags_L, 0)] for tags_L in encoded.tags]
    frame = task().table(1, examples, encoded, outputs, facts)
    assert frame["label"].to_list() == frame["predicted"].to_list()
    assert task().scores(frame, facts)["entity_f1"] == 1.0
    first = encoded.tags[1][encoded.tags[1] != IGNORED]
    assert len(first) == 9, "one piece of each word"


@pytest.mark.parametrize("doc_stride", [3, 5, 20])
def test_a_long_text_is_read_in_windows_and_no_unit_is_lost(
    made: tuple[Path, EncodedTags], tmp_path: Path, doc_stride: int
) -> None:
    """Each piece is answered for once, where it has most context; learned tags read back are the published."""
    backbone, _ = made
    text = "그물의 층을 더한다 sort the rows of a list 😀 by Wonderfulkeys " * 3
    spans = [found.span() for found in re.finditer(r"\S+", text)]
    tags = ["O", "B-LC", "I-LC", "B-PS", "O", "O"] * (len(spans) // 6 + 1)
    meta = {"tags": " ".join(tags[: len(spans)]), "spans": json.dumps(spans)}
    found = [Document("long", text, meta), sentences(tmp_path)[1]]
    given, tokenizer = task(doc_stride=doc_stride), load_tokenizer(backbone)
    facts = given.learn(found)
    examples = given.examples(found, split="train", facts=facts)
    encoded = given.encode(examples, tokenizer, facts=facts, max_length=12, pad_id=0)
    whole = tokenizer.encode(text).ids[1:-1]
    owned = [piece_L[piece_L != NOWHERE] for piece_L in encoded.pieces[: encoded.texts.count(0)]]
    assert len(owned) > 3 and sorted(np.concatenate(owned).tolist()) == list(range(len(whole)))
    for ids_L, piece_L in zip(encoded.ids, encoded.pieces[: len(owned)], strict=False):
        places = np.flatnonzero(piece_L != NOWHERE)
        assert [whole[piece] for piece in piece_L[places]] == ids_L[places].tolist()
        assert len(ids_L) <= 12 and np.all(np.diff(places) == 1)
    # away from the text's ends a piece has as much context as the windows' overlap can give
    overlap = max(10 - doc_stride, 0)
    for piece_L in encoded.pieces[1 : len(owned) - 2]:
        places = np.flatnonzero(piece_L != NOWHERE)
        assert places[0] - 1 >= overlap // 2 and 10 - places[-1] >= overlap // 2
    outputs = [np.eye(len(facts.labels))[np.maximum(tags_L, 0)] for tags_L in encoded.tags]
    frame = given.table(1, examples, encoded, outputs, facts)
    assert frame["label"].to_list() == frame["predicted"].to_list()
    tagged = sum(int((tags_L != IGNORED).sum()) for tags_L in encoded.tags)
    assert tagged == sum(len(one.tags) for one in examples), "each unit is learned once"
    [(places, windows)] = cut_texts(tokenizer, ["sort"], max_length=12, doc_stride=doc_stride)
    assert len(windows) == 1 and len(places) == len(windows[0].ids) - 2


def test_keeps_the_contract_of_learners(made: tuple[Path, EncodedTags]) -> None:
    backbone, encoded = made

    def make() -> TokenClassification:
        return task().learner(ENCODER.network(backbone, "tokens", num_outputs=5, seed=1))

    check_learner(make, encoded.collate(np.arange(2)))


def test_hugging_face_gives_the_same_logits(made: tuple[Path, EncodedTags], tmp_path: Path) -> None:
    from transformers import AutoModelForTokenClassification

    backbone, encoded = made
    network = ENCODER.network(backbone, "tokens", num_outputs=5, seed=1).eval()
    labels = ("O", "B-a", "I-a", "B-나", "I-나")
    ENCODER.save(tmp_path, network, labels=labels)
    theirs = AutoModelForTokenClassification.from_pretrained(tmp_path).eval()
    assert tuple(theirs.config.id2label.values()) == labels
    batch = encoded.collate(np.arange(2))
    names = ("input_ids", "attention_mask", "token_type_ids")
    with torch.no_grad():
        ours = network(*(batch[name] for name in names))
        wanted = theirs(**{name: batch[name] for name in names}).logits
        again = load_token_classifier(tmp_path, "tokens").eval()(*(batch[name] for name in names))
    kept = batch["attention_mask"].bool()
    assert torch.allclose(ours[kept], wanted[kept], atol=1e-5, rtol=0)
    assert torch.equal(ours, again)
    assert isinstance(network, TokenClassifier)


def test_normalised_text_is_refused() -> None:
    document = Document("d", "짧다", {"tags": "O O O", "spans": "[[0,1],[1,2],[2,3]]"})
    with pytest.raises(UserError, match="preprocess it without normalisation"):
        task().examples([document], split="train", facts=task().learn([document]))
    with pytest.raises(UserError, match="no entity in train"):
        plain = Document("d", "글", {"tags": "O", "spans": "[[0,1]]"})
        facts = task().learn([plain])
        task().check(
            task().examples([plain], split="train", facts=facts), split="train", facts=facts, where="c"
        )
