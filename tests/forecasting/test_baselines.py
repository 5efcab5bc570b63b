"""Baselines: by hand, against statsforecast, and Naive2 against the competitions' published forecasts."""

import csv
import json
import lzma
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed import metrics
from seedbed.forecasting.baselines import (
    Baseline,
    Naive2Config,
    NaiveConfig,
    Rule,
    SeasonalNaiveConfig,
    is_seasonal,
    naive2,
    seasonal_indices,
    seasonal_naive,
)
from seedbed.forecasting.beside import BASELINES
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from tests.forecasting.panels import FREQUENCIES, load, rows, table, working_days

MIRROR = Path(os.environ.get("SEEDBED_TEST_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
needs_mirror = pytest.mark.skipif(not (MIRROR / "m3").is_dir(), reason="no mirror of the competitions' data")
SEASONS = {"YEARLY": 1, "QUARTERLY": 4, "MONTHLY": 12, "OTHER": 1}


def seasonal(length: int = 40, *, growth: float = 0.5) -> np.ndarray:
    return (100 + growth * np.arange(length)) * np.tile([0.8, 1.0, 1.1, 1.1], length // 4)


def test_naive2_puts_a_pure_season_back_exactly() -> None:
    history_T = seasonal(growth=0.0)
    assert is_seasonal(history_T, seasonality=4)
    np.testing.assert_allclose(seasonal_indices(history_T, seasonality=4), [0.8, 1.0, 1.1, 1.1])
    for cut in (40, 39, 38, 37):
        forecast = naive2(history_T[:cut], horizon=8, seasonality=4)
        np.testing.assert_allclose(forecast, np.tile(history_T[:4], 4)[cut % 4 : cut % 4 + 8])


@pytest.mark.parametrize(
    ("history_T", "season"),
    [
        (seasonal(40), 1),
        (seasonal(8), 4),
        (np.full(40, 7.0), 4),
        (np.cumsum(np.ones(5)), 12),
    ],
)
def test_naive2_is_naive_without_a_significant_season(history_T: np.ndarray, season: int) -> None:
    assert not is_seasonal(history_T, seasonality=season)
    assert naive2(history_T, horizon=3, seasonality=season).tolist() == [history_T[-1]] * 3


def test_indices_are_statsmodels() -> None:
    from statsmodels.tsa.seasonal import seasonal_decompose

    generator = np.random.default_rng(1)
    for season in (4, 7, 12):
        history_T = 50 + generator.random(season * 6 + 3)
        theirs = seasonal_decompose(history_T, model="multiplicative", period=season).seasonal[:season]
        np.testing.assert_allclose(seasonal_indices(history_T, seasonality=season), theirs, rtol=1e-12)


def test_a_season_around_zero_is_left_alone() -> None:
    """Multiplicative indices have no meaning there: naive, never infinite."""
    history_T = np.tile([-5.0, 5.0, 3.0, -3.0], 10)
    assert is_seasonal(history_T, seasonality=4)
    assert seasonal_indices(history_T, seasonality=4) is None
    assert naive2(history_T, horizon=2, seasonality=4).tolist() == [-3.0, -3.0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rule", ["m4", "m3"])
def test_naive2_does_not_depend_on_the_unit(rule: Rule) -> None:
    history_T = seasonal(growth=1.0)
    expected = naive2(history_T, horizon=4, seasonality=4, rule=rule)
    assert len(set(expected)) > 1
    for unit in (2.0**980, 2.0**700, 2.0**-700):
        found = naive2(history_T * unit, horizon=4, seasonality=4, rule=rule)
        assert (found / unit).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (NaiveConfig(name="naive"), [44.0, 44.0, 44.0, 44.0]),
        (SeasonalNaiveConfig(name="seasonal_naive"), [41.0, 42.0, 43.0, 44.0]),
    ],
)
def test_baselines_of_a_panel(config: Baseline, expected: list[float], tmp_path: Path) -> None:
    values = [float(decade * 10 + i) for decade in range(1, 5) for i in (1, 2, 3, 4)] + [0.0] * 4
    panel = load(
        tmp_path, rows("a", "quarterly", values), frequencies={"quarterly": FREQUENCIES["quarterly"]}
    )
    assert config.forecast(panel.sets("history")[0]).tolist() == [expected]


def test_seasonal_naive_of_less_than_a_season_is_naive(tmp_path: Path) -> None:
    frequencies: dict[str, Any] = {"yearly": {"step": "1y", "horizon": 2, "seasonality": 5}}
    panel = load(tmp_path, rows("a", "yearly", [1.0, 2, 3, 4, 5, 6]), frequencies=frequencies)
    assert SeasonalNaiveConfig(name="seasonal_naive").forecast(panel.sets("train")[0]).tolist() == [
        [2.0, 2.0]
    ]


@pytest.mark.parametrize("name", ["naive", "naive2", "seasonal_naive"])
@pytest.mark.parametrize("days", [196, 194, 192])
def test_working_days_go_on_from_the_last_week(name: str, days: int) -> None:
    """Cut after a Sunday, a Friday and a Wednesday."""
    series = working_days(days)
    (found_H,) = BASELINES[name].forecast(series)
    week = np.unique(series.series(0)[-7:][np.isfinite(series.series(0)[-7:])])
    if name == "naive":
        assert (found_H == week[-1]).all()
    assert found_H.min() >= 0.9 * week[0] and found_H.max() <= 1.1 * week[-1]


def test_after_a_gap_at_the_end_naive_takes_the_last_known_value() -> None:
    config = FrequencyConfig(step="1i", horizon=2, seasonality=12)
    series = SeriesSet.counted("x", config, ["a"], [[*np.arange(1.0, 25), np.nan]])
    assert NaiveConfig(name="naive").forecast(series).tolist() == [[24.0, 24.0]]
    assert series.bridged(0)[-1] == 13


@pytest.mark.parametrize("length", [4, 5, 11])
@pytest.mark.parametrize("horizon", [1, 4, 9])
def test_seasonal_naive_is_statsforecasts(length: int, horizon: int) -> None:
    from statsforecast.models import SeasonalNaive

    history_T = np.random.default_rng(length).normal(size=length)
    theirs = SeasonalNaive(4).forecast(y=history_T, h=horizon)["mean"]
    assert seasonal_naive(history_T, horizon=horizon, seasonality=4).tolist() == list(theirs)


def test_naive2_of_a_panel_is_naive2_of_each_series(tmp_path: Path) -> None:
    series = load(tmp_path, table()).sets("history")[1]
    found = Naive2Config(name="naive2").forecast(series)
    for index in range(len(series)):
        expected = naive2(series.series(index), horizon=4, seasonality=4)
        assert found[index].tolist() == expected.tolist()


@needs_mirror
@pytest.mark.parametrize(
    ("frequency", "season", "smape", "mase"), [("Hourly", 24, 18.383, 2.395), ("Weekly", 1, 9.161, 2.777)]
)
def test_naive2_gives_the_published_m4_table(frequency: str, season: int, smape: float, mase: float) -> None:
    """Makridakis et al. (2020), tables of the M4 benchmarks."""
    parts = []
    for part in ("train", "test"):
        with lzma.open(MIRROR / "m4" / f"{frequency}-{part}.csv.xz", "rt") as file:
            lines = list(csv.reader(file))[1:]
        parts.append({line[0]: np.asarray([float(value) for value in line[1:] if value]) for line in lines})
    train, test = parts
    errors = []
    for name, history_T in train.items():
        forecast = naive2(history_T, horizon=len(test[name]), seasonality=season)
        scaled = metrics.mase(test[name], forecast, history=history_T, seasonality=season)
        errors.append((metrics.smape(test[name], forecast), scaled))
    assert np.round(np.mean(errors, axis=0), 3).tolist() == [smape, mase]


@needs_mirror
def test_naive2_against_the_published_m3_forecasts() -> None:
    """Makridakis and Hibon (2000): 15.46 over all points; where the test of seasonality agrees with theirs
    (97 % of the series) our forecasts are theirs to their five printed digits.
    """
    with lzma.open(MIRROR / "m3" / "m3_data.json.xz", "rt") as file:
        data = json.load(file)
    with lzma.open(MIRROR / "m3" / "m3_rival_forecasts.csv.xz") as file:
        published = pl.read_csv(file.read(), null_values="")
    published = published.filter(pl.col("method") == "NAIVE2").drop("method")
    theirs = {row[0]: np.asarray(row[1:], dtype=float) for row in published.iter_rows()}
    points: dict[str, list[np.ndarray]] = defaultdict(list)
    equal = disagreed = 0
    farthest = 0.0
    for name, one in data.items():
        history_T, actual_H = np.asarray(one["x"], dtype=float), np.asarray(one["xx"], dtype=float)
        period = one["period"][0]
        season, reference = SEASONS[period], theirs[name][: len(actual_H)]
        forecast = naive2(history_T, horizon=len(actual_H), seasonality=season, rule="m3")
        points["m3"].append(metrics.smape_points(actual_H, forecast))
        forecast_m4 = naive2(history_T, horizon=len(actual_H), seasonality=season)
        points["m4"].append(metrics.smape_points(actual_H, forecast_m4))
        if period == "YEARLY":
            points["yearly"].append(metrics.smape_points(actual_H, forecast))
        they_adjust = not np.allclose(reference, reference[0], rtol=1e-4)
        if they_adjust == is_seasonal(history_T, seasonality=season, rule="m3"):
            farthest = max(farthest, float(np.max(np.abs(forecast / reference - 1))))
            equal += 1
        else:
            disagreed += 1
    means = {name: float(np.mean(np.concatenate(found))) for name, found in points.items()}
    assert (equal, disagreed) == (2916, 87)
    assert farthest < 2.5e-5, "half a unit of their last printed digit"
    assert means["yearly"] == pytest.approx(17.88, abs=0.005)
    assert means["m3"] == pytest.approx(15.46, abs=0.03)
    assert means["m4"] == pytest.approx(15.39, abs=0.005), "M4's rule differs from M3's by this much"
