"""Members: every combination, seeds of their own; the median against numpy's."""

import numpy as np
import torch

from seedbed.forecasting.ensembling import departures, last_season, median, members


def test_members_are_every_combination_with_its_own_seed() -> None:
    few = members(lookbacks=(2, 3), losses=("smape", "mase"), repeats=2, horizon=6, seed=1)
    assert [(m.lookback, m.loss) for m in few[::2]] == [
        (12, "smape"),
        (12, "mase"),
        (18, "smape"),
        (18, "mase"),
    ]
    assert len({m.seed for m in few}) == 8
    more = members(lookbacks=(2, 3, 7), losses=("mape", "smape", "mase"), repeats=3, horizon=6, seed=1)
    assert set(few) <= set(more), "a member changes when others join"


def test_median_is_numpys() -> None:
    generator = torch.Generator().manual_seed(0)
    for count in (1, 2, 5, 6):
        values = torch.randn(count, 4, 3, generator=generator, dtype=torch.float64)
        np.testing.assert_allclose(median(values), np.median(values.numpy(), axis=0))


def test_departures_from_the_last_known_value_have_any_level_and_size() -> None:
    window_BT = torch.tensor([[9.0, 1, 5, 3], [9.0, 1, 2, 0], [4.0, 4, 4, 4], [0.0, 0, 7, 7]])
    mask_BT = torch.tensor([[1.0, 1, 1, 1], [0.0, 1, 1, 0], [1.0, 1, 1, 1], [0.0, 0, 1, 1]])
    level_B1, seen_BT, size_B1 = departures(window_BT, mask_BT, origin="last_scaled")
    assert level_B1.flatten().tolist() == [3, 2, 4, 7]
    # an unknown value has no say, and what stands still goes on so
    assert size_B1.flatten().tolist() == [6, 1, 0, 0]
    expected = torch.tensor([[1, -1 / 3, 1 / 3], [0, -1, 0], [0, 0, 0], [0, 0, 0]])
    torch.testing.assert_close((seen_BT * mask_BT)[:, :3], expected)
    torch.testing.assert_close(((level_B1 + seen_BT * size_B1) * mask_BT)[:2], (window_BT * mask_BT)[:2])
    level_B1, seen_BT, size_B1 = departures(window_BT, mask_BT, origin="last")
    assert torch.equal(seen_BT, window_BT - level_B1) and torch.equal(size_B1, torch.ones(4, 1))
    assert torch.equal(departures(window_BT, mask_BT, origin="zero")[1], window_BT)


def test_the_last_season_is_repeated_and_what_is_unknown_in_it_is_the_last_known_value() -> None:
    window_BT = torch.tensor([[9.0, 1, 2, 3, 4], [9.0, 1, 2, 3, 0]])
    mask_BT = torch.tensor([[1.0, 1, 1, 1, 1], [1.0, 1, 0, 1, 0]])
    windows = (window_BT.expand(2, -1, -1), mask_BT.expand(2, -1, -1))
    found = last_season(*windows, points=[4, 2], horizon=6)
    assert found[0].tolist() == [[1, 2, 3, 4, 1, 2], [1, 3, 3, 3, 1, 3]]
    assert found[1].tolist() == [[3, 4, 3, 4, 3, 4], [3, 3, 3, 3, 3, 3]]
    assert torch.equal(last_season(*windows, points=[4, 2], horizon=1), found[..., :1])
