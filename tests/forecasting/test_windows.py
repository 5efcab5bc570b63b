"""Windows: the right points, padded and masked, uniform over series and cuts, a function of numbers alone."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from seedbed import metrics
from seedbed.forecasting.windows import WindowPresentations, Windows, naive_scales, point_scale
from tests.forecasting.panels import FREQUENCIES, load, rows, table

LOOKBACK = 6


def test_a_window_is_what_the_series_says(tmp_path: Path) -> None:
    series = load(tmp_path, table()).sets("history")[0]
    numbers, cuts = np.asarray([0, 3, 3]), np.asarray([2, 20, 36])
    batch = Windows(series, lookback=LOOKBACK).cut(numbers, cuts)
    scale = batch["scale"].numpy()
    for row, (number, cut) in enumerate(zip(numbers, cuts, strict=True)):
        values = series.series(number)
        before = values[max(0, cut - LOOKBACK) : cut]
        padding = LOOKBACK - len(before)
        assert scale[row] == np.abs(before).max()
        assert batch["insample_mask"][row].tolist() == [0.0] * padding + [1.0] * len(before)
        np.testing.assert_allclose(batch["insample"][row, padding:] * scale[row], before, rtol=1e-6)
        assert (batch["insample"][row, :padding] == 0).all()
        after = values[cut : cut + 3]
        assert batch["outsample_mask"][row].tolist() == [1.0] * len(after) + [0.0] * (3 - len(after))
        np.testing.assert_allclose(batch["outsample"][row, : len(after)] * scale[row], after, rtol=1e-6)
        expected = np.abs(np.diff(values)).mean()
        assert float(batch["naive_scale"][row]) * scale[row] == pytest.approx(expected, rel=1e-6)


def test_any_slice_of_presentations_is_the_same(tmp_path: Path) -> None:
    series = load(tmp_path, table()).sets("train")[0]
    data = WindowPresentations(series, lookback=LOOKBACK, seeds=(5, 6, 7), history_horizons=4.0)
    whole, parts = data.batch(0, 20), [data.batch(0, 7), data.batch(7, 13)]
    for name, value in whole.items():
        assert torch.equal(value, torch.cat([part[name] for part in parts])), name
    assert whole["insample"].shape == (20, 3, LOOKBACK) and whole["naive_scale"].shape == (20, 3)
    assert not torch.equal(whole["insample"][:, 0], whole["insample"][:, 1]), "members share their windows"
    other = WindowPresentations(series, lookback=LOOKBACK, seeds=(8, 9, 7), history_horizons=4.0)
    others = other.batch(0, 20)["insample"]
    assert not torch.equal(whole["insample"][:, 0], others[:, 0])
    assert torch.equal(whole["insample"][:, 2], others[:, 2]), "a member's windows depend on the others"


def test_series_and_cuts_are_drawn_uniformly(tmp_path: Path) -> None:
    """Counted from the windows themselves: the last known input tells series and cut."""
    series = load(tmp_path, table()).sets("train")[0]
    data = WindowPresentations(series, lookback=LOOKBACK, seeds=(5, 6), history_horizons=4.0)
    batch = data.batch(0, 20_000)
    last = (batch["insample"][..., -1].double() * batch["scale"]).reshape(-1).numpy()
    values = np.concatenate([series.series(i)[:-1] for i in range(len(series))])
    owner = np.repeat(np.arange(len(series)), series.lengths - 1)
    place = np.concatenate([np.arange(length - 1) for length in series.lengths])
    found = np.abs(last[:, None] - values[None, :]).argmin(1)
    drawn = np.bincount(owner[found], minlength=4) / len(last)
    np.testing.assert_allclose(drawn, 0.25, atol=0.01)
    longest = place[found][owner[found] == 3] + 1  # the cut
    counts = np.bincount(longest, minlength=34)
    assert not counts[: 34 - 12].any(), "a cut before the last L_H x horizon points"
    np.testing.assert_allclose(counts[34 - 12 :] / counts.sum(), 1 / 12, atol=0.015)


def test_forecasting_windows_end_with_the_series(tmp_path: Path) -> None:
    panel = load(tmp_path, table())
    train, valid = panel.sets("train")[0], panel.valid()[0]
    windows = Windows(train, lookback=LOOKBACK).before(valid)
    scale = windows["scale"].numpy()[:, None]
    np.testing.assert_allclose(windows["outsample"].numpy() * scale, valid.values.reshape(-1, 3), rtol=1e-6)
    assert bool((windows["outsample_mask"] == 1).all())
    assert not Windows(train, lookback=LOOKBACK).at_end()["outsample_mask"].any()
    assert windows["insample_mask"].sum(-1).tolist() == [2, 6, 6, 6]


def test_windows_are_those_of_a_loop_wherever_they_lie(tmp_path: Path) -> None:
    """Against point by point, from memory and from a mapped file; some begin before the first value."""
    series = load(tmp_path, table()).sets("history")[0]
    path = tmp_path / "values.npy"
    np.save(path, series.values)
    mapped = dataclasses.replace(series, values=np.load(path, mmap_mode="r"))
    generator = np.random.default_rng(0)
    numbers = generator.integers(0, len(series), (7, 3))
    cuts = (generator.random((7, 3)) * (series.lengths[numbers] + 1)).astype(np.int64)
    for lookback in (1, 6, 50, 500):
        found = Windows(series, lookback=lookback).cut(numbers, cuts)
        again = Windows(mapped, lookback=lookback).cut(numbers, cuts)
        assert all(torch.equal(value, again[name]) for name, value in found.items())
        for place in np.ndindex(7, 3):
            values = series.series(numbers[place])
            expected, mask = np.zeros(lookback + 3), np.zeros(lookback + 3)
            for point in range(lookback + 3):
                if 0 <= cuts[place] - lookback + point < len(values):
                    expected[point], mask[point] = values[cuts[place] - lookback + point], 1
            scale = np.abs(expected[:lookback]).max() or 1.0
            assert float(found["scale"][place]) == scale
            both = [
                torch.cat([found[f"insample{part}"], found[f"outsample{part}"]], -1) for part in ("", "_mask")
            ]
            np.testing.assert_allclose(both[0][place], expected / scale, rtol=1e-6)
            np.testing.assert_array_equal(both[1][place], mask)


@pytest.mark.parametrize("chunk", [1, 50, 1 << 20])
@pytest.mark.parametrize("seasonality", [1, 4, 30])
def test_naive_scales_are_those_of_each_series(
    seasonality: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seedbed.forecasting.windows.CHUNK", chunk)
    generator = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(generator.integers(1, 60, 40))])
    values = generator.normal(size=offsets[-1])
    found = naive_scales(values, offsets, seasonality=seasonality)
    series = np.split(values, offsets[1:-1])
    expected = [metrics.naive_scale(values_T, seasonality=seasonality) for values_T in series]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isfinite(found).any()


def test_what_is_missing_inside_a_series_is_masked(tmp_path: Path) -> None:
    series = load(tmp_path, table()).sets("history")[0]
    places = series.offsets[3] + np.asarray([20, 25])
    values = series.values.copy()
    values[places] = np.nan
    windows = Windows(dataclasses.replace(series, values=values), lookback=LOOKBACK)
    batch = windows.cut(np.asarray([3]), np.asarray([24]))
    whole = Windows(series, lookback=LOOKBACK).cut(np.asarray([3]), np.asarray([24]))
    for part, missing in (("insample", 2), ("outsample", 1)):
        known = [place != missing for place in range(whole[part].shape[-1])]
        assert batch[f"{part}_mask"][0].tolist() == [float(one) for one in known]
        assert torch.equal(batch[part][0], whole[part][0] * batch[f"{part}_mask"][0])
    differences = np.diff(values[series.offsets[3] : series.offsets[4]])
    found = float(batch["naive_scale"][0]) * float(batch["scale"][0])
    assert found == pytest.approx(np.nanmean(np.abs(differences)), rel=1e-6)


def test_what_is_missing_is_zero_and_masked_wherever_it_stands(tmp_path: Path) -> None:
    frame = table().with_columns(y=pl.when(pl.col("ds").dt.year() % 5 == 0).then(None).otherwise(pl.col("y")))
    panel = load(tmp_path, frame)
    series, targets = panel.sets("train")[0], panel.valid()[0]
    whole = load(tmp_path, table()).sets("train")[0]
    assert 0 < np.isnan(series.values).sum() < len(series.values)
    windows = Windows(series, lookback=LOOKBACK)
    for batch in (windows.cut(np.asarray([1, 2]), np.asarray([8, 20])), windows.before(targets)):
        for name in ("insample", "outsample"):
            assert torch.isfinite(batch[name]).all()
            assert (batch[name][batch[f"{name}_mask"] == 0] == 0).all()
            assert 0 < (batch[f"{name}_mask"] == 0).sum() < batch[name].numel()
    batch, full = windows.cut(np.asarray([2]), np.asarray([20])), Windows(whole, lookback=LOOKBACK)
    expected = full.cut(np.asarray([3]), np.asarray([20]))
    known = batch["insample_mask"] == 1
    sizes = (batch["scale"] / expected["scale"]).float()
    torch.testing.assert_close((batch["insample"] * sizes)[known], expected["insample"][known])


def test_a_window_of_zeros_forecasts_zero_whatever_the_unit(tmp_path: Path) -> None:
    frame = pl.concat([rows("a", "yearly", [0.0] * 9), rows("b", "yearly", [1e-9] * 9)])
    (series,) = load(tmp_path, frame, frequencies={"yearly": FREQUENCIES["yearly"]}).sets("history")
    windows = Windows(series, lookback=3).at_end()
    assert windows["scale"].tolist() == [1.0, 1e-9]
    assert point_scale(windows).tolist() == [0.0, 1e-9]
