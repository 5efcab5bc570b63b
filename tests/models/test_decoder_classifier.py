"""Classifiers on decoders against transformers' classes; both orders of a pair; new rows of the vocabulary."""

from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor
from transformers.models.gpt_neo import modeling_gpt_neo
from transformers.models.gptj import modeling_gptj

from seedbed.config import UserError
from seedbed.models import (
    classifier_on_decoder,
    load_decoder_classifier,
    save_decoder,
    save_decoder_classifier,
    with_tokens,
)
from seedbed.models.decoder_classifier import swap_parts
from tests.models.decoders import GPTS, shaken, small_gpt
from tests.models.families import BPE
from tests.models.test_decoder import InDouble

EVERY = pytest.mark.parametrize("name", GPTS)
START, DELIMITER, EXTRACT = range(BPE.size, BPE.size + 3)
PAIRS = [([7, 8, 9], [10, 11]), ([12], [13, 14, 15, 16, 17]), ([20, 21, 22, 23, 24, 25, 26], [27])]


def row(first: list[int], second: list[int]) -> list[int]:
    return [START, *first, DELIMITER, *second, EXTRACT]


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    length = max(map(len, rows))
    ids = torch.tensor([one + [BPE.pad_id] * (length - len(one)) for one in rows])
    mask = torch.tensor([[1] * len(one) + [0] * (length - len(one)) for one in rows])
    return ids, mask


def make(name: str, *, swapped: bool = False, dtype: torch.dtype = torch.float32):  # type: ignore[no-untyped-def]
    decoder = with_tokens(shaken(name), (START, DELIMITER, EXTRACT), seed=4)
    classifier = classifier_on_decoder(
        decoder, num_labels=3, dropout=0.1, swapped_at=DELIMITER if swapped else None, seed=2
    )
    with torch.no_grad():
        classifier.out.weight.mul_(20)
    return classifier.to(dtype).eval()


@EVERY
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_logits_equal_those_of_transformers(
    name: str, dtype: torch.dtype, within: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"gpt_neo": modeling_gpt_neo, "gpt_j": modeling_gptj}
    if dtype == torch.float64 and name in modules:
        monkeypatch.setattr(modules[name], "torch", InDouble())
    classifier = make(name)
    save_decoder_classifier(tmp_path, classifier, labels=("가", "b", "c"), pad_id=BPE.pad_id)
    theirs, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True, attn_implementation="eager"
    )
    assert not info["missing_keys"] and not info["mismatched_keys"]
    # GPT-J's output matrix is of no use to a classifier, but the auxiliary loss learns it
    assert set(info["unexpected_keys"]) == ({"lm_head.weight", "lm_head.bias"} if name == "gpt_j" else set())
    assert theirs.config.id2label == {0: "가", 1: "b", 2: "c"}
    ids, mask = padded([row(*pair) for pair in PAIRS])
    with torch.no_grad():
        wanted = theirs.eval().to(dtype)(ids, attention_mask=mask).logits
        found = classifier.to(dtype)(ids, mask)
        read = classifier.classify(classifier.read(ids, mask))
    torch.testing.assert_close(found, wanted, rtol=within, atol=within)
    torch.testing.assert_close(read, found, rtol=within, atol=within)


@EVERY
def test_both_orders_are_added_and_their_order_changes_nothing(name: str) -> None:
    classifier = make(name, swapped=True, dtype=torch.float64)
    there, back = padded([row(a, b) for a, b in PAIRS]), padded([row(b, a) for a, b in PAIRS])
    with torch.no_grad():
        found = classifier(*there)
        torch.testing.assert_close(found, classifier(*back), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(
            found, classifier.classify(classifier.read(*there)), rtol=1e-12, atol=1e-12
        )
        lasts = []
        for ids, mask in (there, back):
            hidden = classifier.decoder(ids)
            lasts.append(hidden[torch.arange(len(ids)), mask.sum(1) - 1])
    torch.testing.assert_close(found, (lasts[0] + lasts[1]) @ classifier.out.weight.T)


def test_swapped_parts_are_those_written_the_other_way_round() -> None:
    ids, mask = padded([row(a, b) for a, b in [*PAIRS, ([7, 8], [9, 10]), ([], [9]), ([9], [])]])
    wanted, _ = padded([row(b, a) for a, b in [*PAIRS, ([7, 8], [9, 10]), ([], [9]), ([9], [])]])
    assert torch.equal(swap_parts(ids, mask, delimiter=DELIMITER), wanted)
    assert torch.equal(swap_parts(wanted, mask, delimiter=DELIMITER), ids)


@EVERY
def test_new_rows_are_the_seeds_own_and_old_ones_stay(name: str) -> None:
    before = shaken(name)
    made = [with_tokens(shaken(name), (START, DELIMITER, EXTRACT), seed=seed) for seed in (1, 1, 2)]
    assert made[0].vocabulary_size == BPE.size + 3
    assert torch.equal(made[0].token.weight[: BPE.size], before.token.weight)
    new = [one.token.weight[BPE.size :] for one in made]
    assert torch.equal(new[0], new[1]) and not torch.equal(new[0], new[2])
    rows = torch.randint(5, BPE.size, (2, 9))
    with torch.no_grad():
        torch.testing.assert_close(
            made[0].logits(made[0](rows))[..., : BPE.size], before.logits(before(rows)), rtol=1e-6, atol=1e-6
        )
    # ids that the decoder has rows for grow nothing
    assert with_tokens(shaken(name), (200, 201, 202), seed=1).vocabulary_size == BPE.size


def test_first_weights_have_the_networks_spread() -> None:
    decoder = small_gpt("gpt2", hidden_size=384, intermediate_size=64).build(BPE)
    new = with_tokens(decoder, range(BPE.size, BPE.size + 30), seed=3).token.weight[BPE.size :]
    # 30 x 384 draws: the standard deviation is known to 0.7 %
    assert abs(float(new.detach().std()) / 0.02 - 1) < 0.03
    head = classifier_on_decoder(decoder, num_labels=30, dropout=0.0, seed=3).out.weight
    assert abs(float(head.detach().std()) / 0.02 - 1) < 0.03


@pytest.mark.parametrize("swapped", [False, True])
def test_round_trip_to_the_bit(swapped: bool, tmp_path: Path) -> None:
    classifier = make("gpt_j", swapped=swapped)
    save_decoder_classifier(tmp_path / "a", classifier, labels=None, pad_id=BPE.pad_id)
    loaded = load_decoder_classifier(tmp_path / "a")
    assert (loaded.swapped_at, loaded.dropout) == (classifier.swapped_at, 0.1)
    save_decoder_classifier(tmp_path / "b", loaded, labels=None, pad_id=BPE.pad_id)
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_decoder_without_a_head_is_no_classifier(tmp_path: Path) -> None:
    save_decoder(tmp_path, shaken("gpt2"))
    with pytest.raises(UserError, match=r"no score\.weight; this is no sequence classifier"):
        load_decoder_classifier(tmp_path)
