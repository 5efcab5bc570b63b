"""Positions: rotary as transformers turns, angles by difference; learned ones are added."""

import pytest
import torch
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb, create_sinusoidal_positions

from seedbed.models.positions import LearnedPositions, RotaryPositions


@pytest.mark.parametrize("first", [0, 1500])
def test_rotary_is_that_of_transformers_to_the_bit(first: int) -> None:
    heads = torch.randn(2, 3, 40, 16, generator=torch.Generator().manual_seed(0))
    sin, cos = create_sinusoidal_positions(2048, 12)[None, first : first + 40].split(6, -1)
    theirs = apply_rotary_pos_emb(heads.transpose(1, 2)[..., :12], sin, cos).transpose(1, 2)
    turned = RotaryPositions(2048, 12).turn(heads, first)
    assert torch.equal(turned[..., :12], theirs)
    assert torch.equal(turned[..., 12:], heads[..., 12:])


def test_a_rotary_score_depends_on_the_distance_alone() -> None:
    positions = RotaryPositions(64, 8).double()
    query, key = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def score(of_query: int, of_key: int) -> float:
        return float((positions.turn(query, of_query) * positions.turn(key, of_key)).sum())

    assert score(30, 20) == pytest.approx(score(50, 40), abs=1e-5)
    assert score(30, 20) != pytest.approx(score(30, 21), abs=1e-3)
    assert torch.equal(positions.embed(query, 3), query)


def test_learned_positions_are_added_from_the_first_on() -> None:
    positions = LearnedPositions(10, 4)
    tokens = torch.zeros(2, 3, 4)
    assert torch.equal(positions.embed(tokens, 6)[1], positions.table.weight[6:9])
    assert torch.equal(positions.turn(tokens, 6), tokens)


def test_rotary_angles_are_no_weights() -> None:
    positions = RotaryPositions(64, 8)
    assert not positions.state_dict() and not list(positions.parameters())
