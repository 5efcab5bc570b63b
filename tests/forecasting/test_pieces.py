"""Pieces of a panel: whole series, in order, each within its bounds."""

import numpy as np
import pytest

from seedbed.forecasting.panels import FrequencyConfig, SeriesSet, pieces


def of_lengths(lengths: list[int]) -> SeriesSet:
    config = FrequencyConfig(step="1i", horizon=1, seasonality=1)
    return SeriesSet.counted(
        "daily", config, [f"s{i}" for i in range(len(lengths))], [np.arange(n) + 100.0 * n for n in lengths]
    )


@pytest.mark.parametrize(
    ("points", "filled", "expected"),
    [
        (100, 1000, [8]),
        (10, 1000, [3, 1, 2, 2]),
        (100, 12, [3, 1, 2, 2]),
        (100, 20, [3, 1, 4]),
    ],
)
def test_a_piece_is_bounded_by_its_points_and_by_its_longest_series(
    points: int, filled: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_POINTS", points)
    monkeypatch.setattr(pieces, "FILLED_POINTS", filled)
    panel = of_lengths([3, 2, 4, 30, 5, 5, 5, 2])
    found = list(pieces.in_pieces(panel))
    assert [len(piece) for _, piece in found] == expected
    assert [numbers.start for numbers, _ in found] == np.cumsum([0, *expected[:-1]]).tolist()
    assert tuple(name for _, piece in found for name in piece.ids) == panel.ids
    np.testing.assert_array_equal(np.concatenate([piece.values for _, piece in found]), panel.values)
    assert (found[0][1] is panel) == (expected == [8])
