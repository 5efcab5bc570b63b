"""The Learner, its batches and its scores: against Hugging Face, scikit-learn and plain counting."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.models import save_pretrained
from seedbed.tasks.encoded import VALID_BATCH_TOKENS, EncodedExamples, ExamplePresentations
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.tasks.examples import Example
from seedbed.tasks.prediction import predict
from seedbed.tasks.sequence_classification import SequenceClassification
from seedbed.tokenization import Vocabulary, load_tokenizer
from tests.conformance import check_learner
from tests.tasks.corpus import documents, write_backbone


@pytest.fixture(scope="module", params=["electra", "roberta"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp(request.param), family=request.param)


def config(weights: str = "pretrained", dropout: float = 0.1) -> EncoderClassifierConfig:
    rates = {"dropout": dropout, "attention_dropout": dropout, "classifier_dropout": dropout}
    return EncoderClassifierConfig.parse({"name": "encoder", "weights": weights, **rates}, where="classifier")


def learner_of(backbone: Path, *, weights: str = "pretrained", seed: int = 1) -> SequenceClassification:
    return SequenceClassification(config(weights).network(backbone, "sequence", num_outputs=3, seed=seed))


def encode(backbone: Path, *, pair: bool = False, max_length: int = 48) -> EncodedExamples:
    found = [
        Example(
            d.id,
            d.text * (1 + number % 3),
            "둘째 글: 한국어 문장 😀 " + d.text[:20] if pair else None,
            number % 3,
        )
        for number, d in enumerate(documents(9))
    ]
    pad_id = Vocabulary.load(backbone).pad_id
    return EncodedExamples.encode(found, load_tokenizer(backbone), max_length=max_length, pad_id=pad_id)


def test_keeps_the_contract_of_learners(backbone: Path) -> None:
    examples = encode(backbone, pair=True)
    check_learner(lambda: learner_of(backbone), examples.collate(np.arange(12)))


def test_weights_are_the_backbones_or_new_and_the_seeds_own(backbone: Path) -> None:
    first, again, other = (learner_of(backbone, seed=seed).state_dict() for seed in (1, 1, 2))
    fresh = learner_of(backbone, weights="random").state_dict()
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert fresh[name].shape == value.shape
        if name.endswith("head.out.weight"):
            assert not torch.equal(value, other[name])
        if "encoder" in name:
            assert torch.equal(value, other[name])
            if name.endswith("token.weight"):
                assert not torch.equal(value, fresh[name])


@pytest.mark.parametrize("pair", [False, True])
def test_hugging_face_gives_the_same_logits(backbone: Path, tmp_path: Path, pair: bool) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    learner = learner_of(backbone).eval()
    classifier = learner.classifier
    save_pretrained(
        tmp_path, classifier.encoder, head=classifier, tokenizer_folder=backbone, labels=("a", "나", "c")
    )
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert theirs.config.id2label == {0: "a", 1: "나", 2: "c"}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    texts = ["Sort the rows.", "그물의 층을 만들고 가중치를 더한다", "섞인 mixed 글 😀"]
    pairs = ["둘째 글", "second text, and it is longer than the first one", "ㄱㄴㄷ 자모"] if pair else None
    examples = EncodedExamples.encode(
        [Example(str(n), text, pairs[n] if pairs else None, 0) for n, text in enumerate(texts)],
        load_tokenizer(backbone),
        max_length=48,
        pad_id=Vocabulary.load(backbone).pad_id,
    )
    batch = examples.collate(np.arange(3))
    inputs = tokenizer(texts, pairs, padding=True, return_tensors="pt")
    assert torch.equal(inputs["input_ids"], batch["input_ids"])
    with torch.no_grad():
        assert torch.allclose(learner.logits(batch), theirs(**inputs).logits, atol=1e-5, rtol=0)


def test_padding_changes_no_logit(backbone: Path) -> None:
    examples = encode(backbone)
    learner = learner_of(backbone).eval()
    with torch.no_grad():
        together = learner.logits(examples.collate(np.arange(len(examples))))
        for number in range(len(examples)):
            alone = learner.logits(examples.collate(np.array([number])))
            torch.testing.assert_close(alone[0], together[number], atol=1e-5, rtol=0)


def test_a_pairs_longer_part_is_cut_first(tmp_path: Path) -> None:
    folder = write_backbone(tmp_path)
    vocabulary = Vocabulary.load(folder)
    examples = EncodedExamples.encode(
        [Example("0", "list rows " * 50, "둘째 글", 0)],
        load_tokenizer(folder),
        max_length=24,
        pad_id=vocabulary.pad_id,
    )
    ids, types = examples.ids[0], examples.type_ids[0]
    whole = load_tokenizer(folder).encode("둘째 글", add_special_tokens=False).ids
    assert len(ids) == 24
    assert ids[0] == vocabulary.cls_id and list(ids).count(vocabulary.sep_id) == 2
    assert list(ids[-1 - len(whole) : -1]) == whole, "the short part is whole"
    assert list(types) == [0] * (23 - len(whole)) + [1] * (1 + len(whole))


def test_every_epoch_serves_each_example_once_and_steps_are_sorted_by_length(backbone: Path) -> None:
    examples = encode(backbone)  # 27 examples
    data = ExamplePresentations(examples, global_batch_size=9, seed=4)
    label_counts = np.zeros(3)
    served: list[bytes] = []
    for step in range(6):
        whole = data.batch(step * 9, 9)
        lengths = whole["attention_mask"].sum(1)
        assert torch.equal(lengths, lengths.sort().values)
        served += [
            row[mask.bool()].numpy().tobytes()
            for row, mask in zip(whole["input_ids"], whole["attention_mask"], strict=True)
        ]
        label_counts += np.bincount(whole["labels"].numpy(), minlength=3)
        # micro-batches are slices of the step, padded on their own
        part = data.batch(step * 9 + 3, 3)
        width = part["input_ids"].shape[1]
        assert width == int(lengths[5])
        assert torch.equal(part["input_ids"], whole["input_ids"][3:6, :width])
    assert label_counts.tolist() == [18, 18, 18]
    assert sorted(served[:27]) == sorted(served[27:]), "two epochs, the same examples"
    assert served[:27] != served[27:], "in another order"
    again = ExamplePresentations(examples, global_batch_size=9, seed=4).batch(18, 9)
    assert torch.equal(again["input_ids"], data.batch(18, 9)["input_ids"])


def test_scoring_batches_hold_each_example_once_within_their_size(backbone: Path) -> None:
    examples = encode(backbone)
    big = EncodedExamples(
        ids=examples.ids * 20,
        type_ids=examples.type_ids * 20,
        labels=np.tile(examples.labels, 20),
        pad_id=examples.pad_id,
    )
    batches = big.by_length()
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(big)))
    assert len(batches) > 1
    assert all(len(b) * max(len(big.ids[n]) for n in b) <= VALID_BATCH_TOKENS for b in batches)


def test_scores_equal_scikit_learn_and_predictions(backbone: Path) -> None:
    from sklearn.metrics import f1_score, log_loss

    examples = encode(backbone)
    learner = learner_of(backbone).eval()
    accumulator = learner.scores()
    with torch.no_grad():
        for batch in examples.batches():
            learner.score(batch, accumulator)
    found = np.stack(predict(learner, examples, precision="fp32"))
    results = accumulator.results()
    assert results["accuracy"] == (found.argmax(1) == examples.labels).mean()
    assert results["macro_f1"] == pytest.approx(
        f1_score(examples.labels, found.argmax(1), average="macro", zero_division=0)
    )
    assert results["loss"] == pytest.approx(log_loss(examples.labels, found, labels=[0, 1, 2]), abs=1e-6)
