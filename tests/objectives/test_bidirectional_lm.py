"""Bidirectional LM as a Learner: conformance, what is predicted from what, exactly once, scores, the file."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from seedbed.config import UserError
from seedbed.data.masks import DynamicConfig
from seedbed.data.packing import PackedRows
from seedbed.data.shards import TokenStore
from seedbed.data.stream import StreamConfig
from seedbed.models import load_elmo
from seedbed.objectives import BidirectionalLM, BidirectionalLMConfig
from seedbed.tokenization import Vocabulary
from tests.conformance import check_learner, check_two_processes
from tests.data.bilingual import TEXTS, write_tokens
from tests.models.elmos import small_elmo
from tests.models.families import BPE

CONF = Path(__file__).resolve().parents[2] / "conf"
WORDS = ("<pad>", "<unk>", "</s>", "<mask>", *dict.fromkeys(" ".join(TEXTS).split()))
VOCABULARY = Vocabulary(
    size=len(WORDS),
    pad_id=0,
    unk_id=1,
    cls_id=2,
    sep_id=2,
    mask_id=3,
    special_ids=(0, 1, 2, 3),
    whole_words=WORDS,
)


def objective(num_words: int = 60, num_samples: int | None = None) -> BidirectionalLMConfig:
    full, sampled = {"name": "full_softmax"}, {"name": "sampled_softmax", "num_samples": num_samples}
    config = {
        "name": "bidirectional_lm",
        "num_words": num_words,
        "softmax": full if num_samples is None else sampled,
    }
    return BidirectionalLMConfig.parse(config, "objective")


def make(dropout: float = 0.0, **changes: int) -> BidirectionalLM:
    return objective(**changes).build(small_elmo(dropout=dropout), VOCABULARY, seed=1)


def batch_of(num_rows: int = 8, *, given: BidirectionalLMConfig | None = None) -> dict[str, Tensor]:
    """Rows of running text."""
    ids = np.array([WORDS.index(word) for word in " ".join(TEXTS).split()])
    rows = np.stack([ids[start : start + 11] for start in range(0, 10 * num_rows, 10)])
    return (given or objective()).prepare(VOCABULARY)(rows[:, :-1].copy(), 0, 0) | {
        "labels": torch.from_numpy(rows[:, 1:].copy())
    }


def test_conformance() -> None:
    check_learner(make, batch_of(), steps=30, learning_rate=2e-2)


def test_conformance_with_a_sample_and_dropout() -> None:
    check_learner(
        lambda: make(0.1, num_samples=20),
        batch_of(given=objective(num_samples=20)),
        steps=30,
        learning_rate=2e-2,
    )


def test_two_processes_equal_one() -> None:
    check_two_processes(make, batch_of())


def test_conf_file_is_the_objective() -> None:
    for name in ("full_softmax", "sampled_softmax"):
        softmax = yaml.safe_load((CONF / "softmax" / f"{name}.yaml").read_text(encoding="utf-8"))
        written = yaml.safe_load((CONF / "objective/bidirectional_lm.yaml").read_text(encoding="utf-8"))
        found = BidirectionalLMConfig.parse(written | {"softmax": softmax}, "objective")
        assert (found.num_words, found.softmax.name) == (793471, name)


def test_no_word_is_seen_by_what_predicts_it() -> None:
    """Change one word of the stretch: what predicts it, and all that comes before it in each direction, stays."""
    learner = make().eval()
    batch = batch_of(1)
    stretch = torch.cat([batch["input_ids"][0], batch["labels"][0, -1:]])  # x_0 .. x_L
    for changed in range(11):
        other = stretch.clone()
        other[changed] = 70 if stretch[changed] != 70 else 71
        before, behind = learner.hidden({"input_ids": stretch[None, :-1], "labels": stretch[None, 1:]})
        again = learner.hidden({"input_ids": other[None, :-1], "labels": other[None, 1:]})
        # another number of different words is another order of sums
        same = [
            (one - two).abs().amax(-1).lt(1e-6).tolist()
            for one, two in zip((before, behind), again, strict=True)
        ]
        # forward position t predicts x_t+1 from x_0 .. x_t, backward position t predicts x_t from x_t+1 ..
        assert same[0] == [place < changed for place in range(10)]
        assert same[1] == [place >= changed for place in range(10)]
    right, left = learner.targets(batch)
    assert torch.equal(right, torch.where(stretch[1:] < 60, stretch[1:], 1))
    assert torch.equal(left, torch.where(stretch[:-1] < 60, stretch[:-1], 1))


@pytest.mark.parametrize("max_length", [7, 16])
def test_an_epoch_predicts_each_word_once_in_each_direction(max_length: int, tmp_path: Path) -> None:
    write_tokens(tmp_path, words=True)
    store = TokenStore.open(tmp_path, "train")
    vocabulary = Vocabulary.load(tmp_path / "tokenizer")
    layout = StreamConfig(name="stream").build(store, max_length=max_length, vocabulary=vocabulary)
    rows = PackedRows(
        layout, masks=DynamicConfig(name="dynamic"), seed=1, prepare=objective().prepare(vocabulary)
    )
    whole = Counter(store.read(0, store.num_tokens).tolist())
    for epoch in range(2):
        batch = rows.batch(epoch * rows.num_rows, rows.num_rows)
        for name in ("labels", "input_ids"):
            served = Counter(batch[name].flatten().tolist())
            assert not served - whole, "nothing twice"
            # what fills no row of this cut, and the one token that only one side of a row has
            assert (whole - served).total() == rows.num_dropped_tokens + 1 < max_length + 1
        assert (learner_counts := make().counts(batch)["tokens"]) == rows.num_rows * max_length, (
            learner_counts
        )


def test_rare_words_are_read_but_not_predicted() -> None:
    learner = make()
    assert learner.elmo.output.out_features == 60
    assert learner.characters_VC.shape == (len(WORDS), 20)
    assert "characters_VC" not in learner.state_dict(), "it follows from the tokens"
    batch = batch_of(1)
    one, other = (batch | {"input_ids": batch["input_ids"].clone()} for _ in range(2))
    one["input_ids"][0, 0], other["input_ids"][0, 0] = 70, 80
    vectors = [learner.hidden(each)[0] for each in (one, other)]
    assert not torch.equal(*vectors), "two rare words are two inputs"
    assert torch.equal(learner.targets(one)[1], learner.targets(other)[1]), "and one target"
    assert objective(10**6).size(VOCABULARY) == len(WORDS)


def test_scores_are_of_both_directions() -> None:
    learner = make(num_samples=20).eval()
    whole, parts = learner.scores(), learner.scores()
    batch = batch_of(8)
    with torch.no_grad():
        learner.score(batch, whole)
        for first in range(0, 8, 2):
            learner.score({name: value[first : first + 2] for name, value in batch.items()}, parts)
        expected = [
            torch.nn.functional.cross_entropy(learner.elmo.output(hidden), labels)
            for hidden, labels in zip(learner.hidden(batch), learner.targets(batch), strict=True)
        ]
    results = whole.results()
    for name, value in results.items():
        assert parts.results()[name] == pytest.approx(value, rel=1e-5)
    assert results["forward_loss"] == pytest.approx(expected[0].item(), rel=1e-5)
    assert results["backward_loss"] == pytest.approx(expected[1].item(), rel=1e-5)
    assert results["loss"] == pytest.approx((expected[0] + expected[1]).item() / 2, rel=1e-5)
    assert results["perplexity"] == pytest.approx(np.exp(results["loss"]))
    assert results["unknown"] == pytest.approx((batch["labels"] >= 60).double().mean().item())
    # an untrained model knows nothing: about one in 60 words
    assert results["loss"] == pytest.approx(np.log(60), rel=0.1)


def test_training_loss_is_the_mean_of_its_parts() -> None:
    losses = {name: value.item() for name, value in make().whole_loss(batch_of()).items()}
    assert losses["loss"] == pytest.approx((losses["forward_loss"] + losses["backward_loss"]) / 2)


def test_a_saved_model_gives_the_same_loss(tmp_path: Path) -> None:
    learner = make().eval()
    learner.save(tmp_path)
    again = BidirectionalLM(
        load_elmo(tmp_path).eval(), softmax=learner.softmax, characters_VC=learner.characters_VC, unk_id=1
    )
    with torch.no_grad():
        assert torch.equal(again.whole_loss(batch_of())["loss"], learner.whole_loss(batch_of())["loss"])


def test_parts_of_words_are_told() -> None:
    with pytest.raises(UserError, match=r"reads whole words, .* take tokens of a tokenizer word_level"):
        objective().build(small_elmo(), BPE)
