"""The baseline against scikit-learn's own transformer, and after a reload."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from seedbed.config import UserError
from seedbed.tasks.examples import Example
from seedbed.tasks.tfidf import TfidfClassifier, TfidfConfig, grams
from seedbed.tokenization import load_tokenizer
from tests.tasks.corpus import documents, write_backbone

CONFIG = TfidfConfig(name="tfidf", max_ngram=2, regularisation=10.0)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("backbone"))


def singles() -> list[Example]:
    labels = {"alpha-sort": 0, "betanet": 1, "pip": 2}
    return [Example(d.id, d.text, None, labels[d.meta["package"]]) for d in documents(12)]


def pairs() -> list[Example]:
    found = []
    for number, one in enumerate(documents(12)):
        first, second = one.text.split("\n\n")
        swapped = number % 2
        found.append(Example(one.id, *((second, first) if swapped else (first, second)), swapped))
    return found


def test_n_grams_of_a_pair_are_told_apart_and_shared_ones_are_counted_once() -> None:
    assert grams([5, 6, 5], None, most=2) == {(0, 5): 2, (0, 6): 1, (0, 5, 6): 1, (0, 6, 5): 1}
    assert grams([5, 6], [6, 7], most=1) == {(0, 5): 1, (0, 6): 1, (1, 6): 1, (1, 7): 1, (2, 6): 1}


def test_equals_scikit_learn(backbone: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    tokenizer, examples = load_tokenizer(backbone), singles()
    ours = CONFIG.fit(examples, tokenizer, num_labels=3).probabilities(examples, tokenizer)

    def analyse(text: str) -> list[str]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return [str(i) for i in ids] + [f"{a} {b}" for a, b in pairwise(ids)]

    vectorizer = TfidfVectorizer(analyzer=analyse, sublinear_tf=True)
    features = vectorizer.fit_transform([example.text for example in examples])
    model = LogisticRegression(C=10.0, max_iter=2000).fit(features, [e.label for e in examples])
    np.testing.assert_allclose(ours, model.predict_proba(features), atol=2e-4)
    assert (ours.argmax(1) == [e.label for e in examples]).all()


def test_two_classes_equal_scikit_learns_sigmoid(backbone: Path) -> None:
    tokenizer, examples = load_tokenizer(backbone), pairs()
    found = CONFIG.fit(examples, tokenizer, num_labels=2).probabilities(examples, tokenizer)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)
    assert (found.argmax(1) == [e.label for e in examples]).all(), "order is easy for bags of each part"


def test_a_reloaded_classifier_says_the_same_to_the_bit(backbone: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(backbone)
    unseen = [Example("k", "한국어로 된 처음 보는 글 😀", None, 0), Example("e", "", None, 0)]
    for examples, labels in ((singles(), 3), (pairs(), 2)):
        model = CONFIG.fit(examples, tokenizer, num_labels=labels)
        model.save(tmp_path)
        again = TfidfClassifier.load(tmp_path)
        probed = examples + unseen if labels == 3 else examples
        np.testing.assert_array_equal(
            again.probabilities(probed, tokenizer), model.probabilities(probed, tokenizer)
        )
        first = (tmp_path / "tfidf.safetensors").read_bytes()
        CONFIG.fit(examples, tokenizer, num_labels=labels).save(tmp_path)
        assert (tmp_path / "tfidf.safetensors").read_bytes() == first, "same examples, same bytes"


def test_a_folder_without_a_classifier_is_the_users_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no TF-IDF classifier"):
        TfidfClassifier.load(tmp_path)
    (tmp_path / "tfidf.safetensors").write_bytes(b"no tensors")
    (tmp_path / "tfidf.json").write_text(json.dumps({"max_ngram": 2}))
    with pytest.raises(UserError, match="no TF-IDF classifier"):
        TfidfClassifier.load(tmp_path)
