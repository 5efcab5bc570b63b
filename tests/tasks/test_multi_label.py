"""Sets of labels: scikit-learn's F1 on the indicator matrix, also resampled; the Learner's contract."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.tasks.multi_label import MultiLabel, MultiLabelConfig
from seedbed.tokenization import Vocabulary, load_tokenizer
from tests.conformance import check_learner
from tests.tasks.corpus import documents, write_backbone

ENCODER = EncoderClassifierConfig.parse({"name": "encoder", "weights": "pretrained"}, where="classifier")


def task(**changed: Any) -> MultiLabelConfig:
    return MultiLabelConfig.parse({"name": "multi_label", **changed}, where="task")


LABELLED = [
    Document(d.id, d.text, {"labels": f"[{', '.join(str(f) for f in range(n % 4))}]"})
    for n, d in enumerate(documents(3))
]


def test_keeps_the_contract_of_learners(tmp_path: Path) -> None:
    backbone = write_backbone(tmp_path)
    facts = task().learn(LABELLED)
    assert facts.labels == ("0", "1", "2")
    examples = task().examples(LABELLED, split="train", facts=facts)
    assert [e.labels for e in examples[:4]] == [(), (0,), (0, 1), (0, 1, 2)]
    pad_id = Vocabulary.load(backbone).pad_id
    encoded = task().encode(examples, load_tokenizer(backbone), facts=facts, max_length=32, pad_id=pad_id)

    def make() -> MultiLabel:
        return task().learner(ENCODER.network(backbone, "sequence", num_outputs=3, seed=1))

    check_learner(make, encoded.collate(np.arange(9)), falls_to=0.8)


def test_scores_equal_scikit_learn_also_when_resampled() -> None:
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(3)
    facts = task(labels=["a", "b", "c"]).learn([])
    actual = rng.random((100, 3)) < [0.5, 0.2, 0.1]
    shares = np.clip(actual * 0.4 + rng.random((100, 3)) * 0.6, 0, 1)
    found = [
        Document(str(n), "", {"labels": ",".join("abc"[c] for c in np.flatnonzero(row))})
        for n, row in enumerate(actual)
    ]
    examples = task(separator=",").examples(found, split="test", facts=facts)
    frame = task().table(1, examples, None, list(shares), facts)  # type: ignore[arg-type]
    drawn = [np.arange(100), rng.integers(0, 100, 100)]
    weights = np.stack([np.bincount(chosen, minlength=100) for chosen in drawn]).astype(np.float64)
    statistics = task().statistics(frame, facts)
    for b, chosen in enumerate(drawn):
        a, p = actual[chosen], shares[chosen] > 0.5
        for name in ("micro", "macro"):
            wanted = f1_score(a, p, average=name, zero_division=0)
            assert statistics[f"{name}_f1"](weights)[b] == pytest.approx(wanted, abs=1e-12)
        assert statistics["exact_match"](weights)[b] == pytest.approx((a == p).all(1).mean(), abs=1e-12)


def test_a_label_that_train_lacks_is_the_users_fault() -> None:
    facts = task().learn(LABELLED[:2])
    with pytest.raises(UserError, match="label '1' is none of the 1 of train"):
        task().examples(LABELLED, split="test", facts=facts)
    for written in ("a,b", '"a"', "3"):
        with pytest.raises(UserError, match=r"labels .* is no JSON list; set the task's `separator`"):
            task().example(Document("d", "", {"labels": written}), facts)
    with pytest.raises(UserError, match="no document of train has a label in 'labels'"):
        task().learn([Document("d", "", {"labels": "[]"})])
