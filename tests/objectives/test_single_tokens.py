"""The default unit: what it chooses is tested with masking; here its name and its number."""

import numpy as np
import pytest

from seedbed.data.randomness import uniform
from seedbed.objectives.single_tokens import SingleTokensConfig, choose_positions, number_to_choose
from tests.models.families import WORDPIECE
from tests.objectives.batches import LENGTH, text_rows


@pytest.mark.parametrize(
    ("candidates", "share", "number"),
    [(100, 0.15, 15), (10, 0.15, 2), (3, 0.15, 1), (0, 0.15, 0), (1, 0.9, 1)],
)
def test_number(candidates: int, share: float, number: int) -> None:
    assert number_to_choose(np.array([candidates]), share).tolist() == [number]


def test_the_unit_chooses_positions() -> None:
    rows_BL = text_rows("electra", num_rows=50, padded=True)
    uniforms_BL = uniform(0, "x", 0, 50, LENGTH)
    choose = SingleTokensConfig(name="single_tokens").prepare(WORDPIECE, share=0.15)
    expected = choose_positions(
        rows_BL, special_ids=WORDPIECE.special_ids, share=0.15, uniforms_BL=uniforms_BL
    )
    assert np.array_equal(choose(rows_BL, uniforms_BL=uniforms_BL), expected)
