"""Slices: each is the mean it says, of the points it says, counted; coverage is measured as it happened."""

import numpy as np
import polars as pl
import pytest

from seedbed import metrics
from seedbed.evaluation.series import Forecasted, models, score_series
from seedbed.evaluation.slices import Sampling, Slice, slices
from tests.evaluation import examples

SAMPLING = Sampling(confidence=0.95, resamples=200, seed=0)


def of(run: Forecasted) -> dict[tuple[str, str, int, str, int], Slice]:
    return {(s.frequency, s.by, s.at, s.metric, s.level): s for s in slices(run, SAMPLING)}


@pytest.fixture(scope="module")
def nbeats() -> Forecasted:
    return examples.forecasted()[0][1]


def test_by_horizon(nbeats: Forecasted) -> None:
    found = of(nbeats)
    yearly = nbeats.points_within("yearly")
    assert yearly.actual_NH.shape == (8, 4)
    for step in range(4):
        points = metrics.smape_points(yearly.actual_NH[:, step], yearly.forecast_NH[:, step])
        one = found["yearly", "horizon", step + 1, "smape", 0].estimate
        assert one.value == pytest.approx(points.mean()) and one.low <= one.value <= one.high and one.n == 8
        scaled = np.abs(yearly.actual_NH - yearly.forecast_NH)[:, step] / yearly.scale_N
        assert found["yearly", "horizon", step + 1, "mase", 0].estimate.value == pytest.approx(scaled.mean())
    steps = [found["yearly", "horizon", step, "mase", 0].estimate.value for step in (1, 2, 3, 4)]
    assert np.mean(steps) == pytest.approx(nbeats.within("yearly")["mase"].mean())


def test_coverage_is_the_share_that_happened(nbeats: Forecasted) -> None:
    found = of(nbeats)
    frame = nbeats.joined.filter(pl.col("frequency") == "quarterly")
    for level in (50, 95):
        inside = frame.filter(pl.col("y").is_between(f"lo-{level}", f"hi-{level}")).height / frame.height
        assert found["quarterly", "level", 0, "coverage", level].estimate.value == pytest.approx(inside)
        steps = [found["quarterly", "horizon", step, "coverage", level].estimate for step in (1, 2, 3, 4)]
        assert np.mean([one.value for one in steps]) == pytest.approx(inside)
        assert {(one.how, one.n) for one in steps} == {("beta", 8)}
        assert found["quarterly", "level", 0, "width", level].estimate.value == pytest.approx(
            np.mean((0.4 if level == 50 else 2) / nbeats.points_within("quarterly").scale_N)
        )


def test_crps_by_horizon_and_of_all(nbeats: Forecasted) -> None:
    """Of one point by hand; the panel's is the mean over the series of every frequency."""
    found = of(nbeats)
    points = nbeats.points_within("quarterly")
    ends = [points.intervals[95][0], points.intervals[50][0], points.forecast_NH]
    ends += [points.intervals[50][1], points.intervals[95][1]]
    q, weights = [0.025, 0.25, 0.5, 0.75, 0.975], [0.1375, 0.2375, 0.25, 0.2375, 0.1375]
    above = [points.actual_NH - end_NH for end_NH in ends]
    losses = [np.maximum(at * error, (at - 1) * error) for at, error in zip(q, above, strict=True)]
    crps_NH = 2 * np.average(losses, axis=0, weights=weights) / points.scale_N[:, None]
    steps = [found["quarterly", "horizon", step, "crps", 0].estimate for step in (1, 2, 3, 4)]
    np.testing.assert_allclose([one.value for one in steps], crps_NH.mean(0), rtol=1e-12)
    whole = found["quarterly", "level", 0, "crps", 0].estimate
    assert whole.value == pytest.approx(crps_NH.mean()) and whole.low < whole.value < whole.high
    yearly = found["yearly", "level", 0, "crps", 0].estimate
    every = found["all", "level", 0, "crps", 0].estimate
    assert every.value == pytest.approx((whole.value + yearly.value) / 2)
    assert (whole.n, yearly.n, every.n) == (8, 8, 16)
    covered = [found[scope, "level", 0, "coverage", 95].estimate for scope in ("quarterly", "yearly", "all")]
    assert covered[2].value == pytest.approx((covered[0].value + covered[1].value) / 2)


def test_by_length_of_history() -> None:
    forecasts, truth, history = examples.panel()
    cut = {name: 2 * i for i, name in enumerate(sorted(history["unique_id"].unique()))}
    history = history.filter(
        pl.int_range(pl.len()).over("unique_id") >= pl.col("unique_id").replace_strict(cut)
    )
    run = score_series(
        forecasts, truth, history, forecaster="naive2", panel="p", seasonality=examples.SEASONALITY
    )
    found = {key: one for key, one in of(run).items() if key[1] == "length" and key[3] == "smape"}
    assert [(key[0], key[2], one.estimate.n) for key, one in found.items()] == [
        *(("yearly", length, 1) for length in (12, 14, 16, 18)),
        *(("quarterly", length, 1) for length in (20, 22, 24, 26)),
    ]
    errors = dict(run.errors.select("length", "smape").iter_rows())
    assert all(one.estimate.value == pytest.approx(errors[key[2]]) for key, one in found.items())


def test_a_series_without_an_interval_is_left_out_of_its_count(nbeats: Forecasted) -> None:
    forecasts, truth, history = examples.panel()
    first = forecasts["unique_id"][0]
    gap = forecasts.with_columns(
        pl.when(pl.col("unique_id") == first).then(None).otherwise("nbeats-x-lo-95").alias("nbeats-x-lo-95")
    )
    run = score_series(
        gap, truth, history, forecaster="nbeats-x", panel="p", seasonality=examples.SEASONALITY
    )
    found = of(run)
    assert found["quarterly", "level", 0, "coverage", 95].estimate.n == 3
    assert found["quarterly", "horizon", 1, "coverage", 95].estimate.n == 3
    assert found["quarterly", "level", 0, "coverage", 50].estimate.n == 4


def test_interval_columns_are_no_models() -> None:
    columns = ["unique_id", "ds", "cutoff", "y", "AutoETS", "AutoETS-lo-80", "AutoETS-hi-80", "lone-lo-80"]
    assert models(columns) == ["AutoETS", "lone-lo-80"]
