"""Counting: how many positions are chosen, where, and what is written there."""

import numpy as np
import pytest
from scipy import stats

from seedbed.config import UserError
from seedbed.data.randomness import uniform
from seedbed.objectives.masking import Masking, choose_positions
from seedbed.tokenization import Vocabulary
from tests.models.families import WORDPIECE
from tests.objectives.batches import LENGTH, text_rows

PUBLISHED = Masking(share=0.15, mask=0.8, random=0.1, keep=0.1)
OFFICIAL_ELECTRA = Masking(share=0.15, mask=0.85, random=0.0, keep=0.15)


@pytest.mark.parametrize("masking", [PUBLISHED, OFFICIAL_ELECTRA])
def test_shares_by_chi_square(masking: Masking) -> None:
    rows_BL = text_rows("electra", num_rows=20_000)
    batch = masking.prepare(WORDPIECE)(rows_BL, 0, 1)
    chosen_N = batch["masked_index"].numpy()
    written_N, original_N = batch["input_ids"].numpy().ravel()[chosen_N], batch["labels"].numpy()
    assert np.array_equal(original_N, rows_BL.ravel()[chosen_N])
    num_text = WORDPIECE.size - 5
    # a random token is the original one once in `num_text`
    masked = int((written_N == WORDPIECE.mask_id).sum())
    kept = int((written_N == original_N).sum())
    observed = [masked, kept, len(chosen_N) - masked - kept]
    by_accident = masking.random / num_text
    expected = np.array([masking.mask, masking.keep + by_accident, masking.random - by_accident]) * len(
        chosen_N
    )
    possible = expected > 0
    assert stats.chisquare(np.array(observed)[possible], expected[possible]).pvalue > 1e-3
    assert not np.array(observed)[~possible].any()


def test_random_tokens_are_any_text_token_alike() -> None:
    rows_BL = text_rows("electra", num_rows=4000)
    batch = Masking(share=0.9, mask=0.0, random=1.0, keep=0.0).prepare(WORDPIECE)(rows_BL, 0, 0)
    written_N = batch["input_ids"].numpy().ravel()[batch["masked_index"].numpy()]
    counts = np.bincount(written_N, minlength=WORDPIECE.size)
    assert not counts[:5].any()
    assert stats.chisquare(counts[5:]).pvalue > 1e-3


def test_every_position_is_chosen_alike() -> None:
    batch = PUBLISHED.prepare(WORDPIECE)(text_rows("electra", num_rows=20_000), 0, 2)
    places = np.bincount(batch["masked_index"].numpy() % LENGTH, minlength=LENGTH)
    assert places[0] == places[-1] == 0
    assert stats.chisquare(places[1:-1]).pvalue > 1e-3


def test_special_tokens_and_all_else_untouched() -> None:
    rows_BL = text_rows("electra", num_rows=500, padded=True)
    rows_BL[::7, 4] = WORDPIECE.unk_id
    rows_BL[::5, 3] = WORDPIECE.mask_id
    batch = PUBLISHED.prepare(WORDPIECE)(rows_BL, 0, 0)
    chosen_N = batch["masked_index"].numpy()
    assert not np.isin(rows_BL.ravel()[chosen_N], WORDPIECE.special_ids).any()
    rest = np.ones(rows_BL.size, bool)
    rest[chosen_N] = False
    assert np.array_equal(batch["input_ids"].numpy().ravel()[rest], rows_BL.ravel()[rest])
    assert np.array_equal(batch["attention_mask"].numpy(), rows_BL != WORDPIECE.pad_id)


@pytest.mark.parametrize(
    ("num_text", "share", "chosen"), [(10, 0.15, 2), (9, 0.15, 1), (1, 0.15, 1), (0, 0.15, 0), (18, 0.5, 9)]
)
def test_exact_number_per_row(num_text: int, share: float, chosen: int) -> None:
    rows_BL = np.full((50, LENGTH), WORDPIECE.pad_id)
    rows_BL[:, 1 : num_text + 1] = 77
    found_N = choose_positions(
        rows_BL,
        special_ids=WORDPIECE.special_ids,
        share=share,
        uniforms_BL=uniform(0, "x", 0, 50, LENGTH),
    )
    assert (np.bincount(found_N // LENGTH, minlength=50) == chosen).all()
    assert (np.diff(found_N) > 0).all()


def test_chosen_are_the_smallest_uniforms_and_ties_are_no_surplus() -> None:
    rows_BL = np.full((2, 12), 9)
    uniforms_BL = np.stack([np.linspace(0.9, 0.1, 12), np.full(12, 0.5)])
    found_N = choose_positions(rows_BL, special_ids=(0,), share=0.25, uniforms_BL=uniforms_BL)
    assert found_N.tolist() == [9, 10, 11, 12, 13, 14]


def test_a_row_depends_on_its_presentation_alone() -> None:
    rows_BL = text_rows("electra", num_rows=64)
    masker = OFFICIAL_ELECTRA.prepare(WORDPIECE, sampling=True)
    whole = masker(rows_BL, 100, 7)
    parts = [masker(rows_BL[i : i + 16], 100 + i, 7) for i in range(0, 64, 16)]
    for name in ("input_ids", "labels", "sampling_uniform"):
        assert np.array_equal(whole[name].numpy(), np.concatenate([part[name].numpy() for part in parts])), (
            name
        )
    shifted = np.concatenate([part["masked_index"].numpy() + i * 16 * LENGTH for i, part in enumerate(parts)])
    assert np.array_equal(whole["masked_index"].numpy(), shifted)
    again = masker(rows_BL, 164, 7)
    assert not np.array_equal(whole["masked_index"].numpy(), again["masked_index"].numpy())
    assert not np.array_equal(whole["masked_index"].numpy(), masker(rows_BL, 100, 8)["masked_index"].numpy())


def test_uniforms_of_one_row_are_independent_of_each_other() -> None:
    """The action must not follow from having been chosen by a small uniform."""
    batch = OFFICIAL_ELECTRA.prepare(WORDPIECE, sampling=True)(text_rows("electra", num_rows=20_000), 0, 3)
    chosen_N = batch["masked_index"].numpy()
    kept_N = batch["input_ids"].numpy().ravel()[chosen_N] != WORDPIECE.mask_id
    sampling_N = batch["sampling_uniform"].numpy()
    assert stats.kstest(sampling_N, "uniform").pvalue > 1e-3
    assert stats.kstest(sampling_N[kept_N], "uniform").pvalue > 1e-3


def test_bad_masking_is_one_line() -> None:
    with pytest.raises(UserError, match="must be 1"):
        Masking.parse({"share": 0.15, "mask": 0.8, "random": 0.1, "keep": 0.2}, "objective.masking")
    with pytest.raises(UserError, match=r"objective\.masking\.share"):
        Masking.parse({"share": 0, "mask": 0.8, "random": 0.1, "keep": 0.1}, "objective.masking")


def test_vocabulary_without_text() -> None:
    empty = Vocabulary(size=5, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, special_ids=(0, 1, 2, 3, 4))
    with pytest.raises(UserError, match="special"):
        PUBLISHED.prepare(empty)
