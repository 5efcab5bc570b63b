"""Errors of point forecasts: by hand, with gaps, against utilsforecast and the published tables of M3."""

import math

import numpy as np
import polars as pl
import pytest
from utilsforecast import losses as theirs

from seedbed import metrics
from tests.metrics.m3 import PERIODS, m3, needs_m3


def test_by_hand():
    assert metrics.smape([100, 0, 1], [110, 0, -1]) == pytest.approx((200 * 10 / 210 + 0 + 200) / 3)
    assert metrics.mape([100, 50], [110, 40]) == pytest.approx(15)
    assert math.isnan(metrics.mape([0, 1], [1, 2]))
    assert metrics.mape([0, 1], [1, 2], zeros="left_out") == pytest.approx(100)
    history = [1.0, 2, 4, 7]
    assert metrics.naive_scale(history, seasonality=1) == pytest.approx(2)
    assert metrics.naive_scale(history, seasonality=2) == pytest.approx(4)
    assert metrics.mase([8, 9], [7, 6], history=history, seasonality=1) == pytest.approx(1)
    assert math.isnan(metrics.mase([8], [7], history=[3, 3, 3], seasonality=1))
    assert math.isnan(metrics.mase([8], [7], history=[3, 4], seasonality=4))
    scale = (1 + 4 + 9) / 3
    assert metrics.rmsse([8, 9], [7, 6], history=history) == pytest.approx(math.sqrt(5 / scale))
    assert metrics.rmsse([8, 9], [7, 6], history=[0, 0, *history]) == pytest.approx(math.sqrt(5 / scale))
    assert metrics.owa(10, 1.5, naive2_smape=20, naive2_mase=3) == pytest.approx(0.5)


def test_no_metric_depends_on_the_unit():
    """A power of two, so to the digit: up to 1e300 and down to 1e-300, where squares are no numbers."""
    rng = np.random.default_rng(4)
    actual, forecast, history = rng.normal(20, 4, (3, 5, 12))
    actual[1, 3] = history[2, :7] = np.nan
    for name in ("smape", "mape", "mase", "rmsse"):
        more = {"seasonality": 2} if name in ("mase", "rmsse") else {}

        def score(unit: float, name: str = name, more: dict[str, int] = more) -> np.ndarray:
            past = {"history": history * unit, **more} if more else {}
            return getattr(metrics, name)(actual * unit, forecast * unit, **past)

        for unit in (2.0**990, 2.0**600, 2.0**-990):
            assert score(unit).tobytes() == score(1.0).tobytes(), (name, unit)
    differences = np.diff(history[0])
    plain = math.sqrt(np.mean((actual[0] - forecast[0]) ** 2) / np.mean(differences**2))
    assert metrics.rmsse(actual[0], forecast[0], history=history[0]) == plain
    assert metrics.rmsse([1e200], [0.0], history=[1.0, 2.0]) == pytest.approx(1e200)


def test_the_scales_of_mase_differ_where_they_say():
    history = [1.0, 2, 4, 7, 11]
    assert metrics.naive_scale(history, seasonality=2) == pytest.approx((3 + 5 + 7) / 3)
    assert metrics.naive_scale(history, seasonality=2, scale="non_seasonal") == pytest.approx(2.5)
    assert metrics.naive_scale(history, seasonality=2, scale="gluonts") == pytest.approx(5)
    assert math.isnan(metrics.naive_scale(history, seasonality=5))
    assert metrics.naive_scale(history, seasonality=5, scale="gluonts") == pytest.approx(2.5)
    both = metrics.padded([history, history[-2:]])
    np.testing.assert_allclose(metrics.naive_scale(both, seasonality=2, scale="gluonts"), [5, 4])


def test_the_seasonal_naive_repeating_itself_has_mase_one():
    history = np.arange(48.0)  # every seasonal difference is 12
    assert metrics.mase(
        np.arange(48.0, 60), np.arange(36.0, 48), history=history, seasonality=12
    ) == pytest.approx(1)


def ragged(num_series: int = 12, horizon: int = 6):
    """Histories of different lengths, actual values and forecasts with gaps."""
    rng = np.random.default_rng(3)
    histories = [rng.normal(20, 4, int(length)) for length in rng.integers(2, 30, num_series)]
    actual, forecast = rng.normal(20, 4, (2, num_series, horizon))
    actual[rng.random(actual.shape) < 0.2] = np.nan
    actual[3] = np.nan
    return histories, actual, forecast


def test_a_panel_in_one_call_is_each_series_without_its_gaps():
    histories, actual, forecast = ragged()
    together = metrics.padded(histories)
    for name in ("smape", "mape", "mase", "rmsse"):
        score = getattr(metrics, name)
        alone, panel = {}, {}
        if name in ("mase", "rmsse"):
            panel = {"history": together, "seasonality": 4}
        found = score(actual, forecast, **panel)
        assert found.shape == (12,) and math.isnan(found[3])
        for i in range(12):
            known = ~np.isnan(actual[i])
            if known.any():
                alone = {"history": histories[i], "seasonality": 4} if panel else {}
                expected = score(actual[i][known], forecast[i][known], **alone)
                np.testing.assert_allclose(found[i], expected, rtol=1e-12, err_msg=name)


def test_gaps_in_the_history_take_their_pairs_away():
    history = np.array([1.0, 2, np.nan, 7, 11])
    assert metrics.naive_scale(history, seasonality=1) == pytest.approx((1 + 4) / 2)
    assert metrics.naive_scale(history, seasonality=2) == pytest.approx(5)
    assert math.isnan(metrics.naive_scale([np.nan, 1.0, np.nan, 2.0], seasonality=1))


def test_against_utilsforecast():
    histories, actual, forecast = ragged()
    histories = [np.append(one, [3.0, 9, 1, 2, 8]) for one in histories]
    actual = np.nan_to_num(actual, nan=5.0)
    ids = np.arange(len(histories))
    frame = pl.DataFrame(
        {"unique_id": np.repeat(ids, 6), "y": actual.ravel(), "model": forecast.ravel()}
    ).with_columns(ds=pl.int_range(pl.len()).over("unique_id") + 100)
    past = pl.concat(
        pl.DataFrame({"unique_id": np.full(len(one), i), "ds": np.arange(len(one)), "y": one})
        for i, one in enumerate(histories)
    )
    together = metrics.padded(histories)
    scaled = {"train_df": past, "seasonality": 4}
    for name, factor, options, ours in (
        ("smape", 200, {}, {}),
        ("mape", 100, {}, {}),
        ("mase", 1, scaled, {"history": together, "seasonality": 4}),
        ("rmsse", 1, scaled, {"history": together, "seasonality": 4}),
    ):
        reference = getattr(theirs, name)(frame, models=["model"], **options).sort("unique_id")["model"]
        found = getattr(metrics, name)(actual, forecast, **ours)
        np.testing.assert_allclose(found, factor * reference.to_numpy(), rtol=1e-12, err_msg=name)


@needs_m3
@pytest.mark.parametrize(
    ("method", "smape", "mape", "mase"),
    [
        ("THETA", 12.76, 17.42, 1.39),
        ("ForecastPro", 13.06, 18.00, 1.47),
        ("ForcX", 13.09, 17.35, 1.42),
        ("B-J auto", 13.72, 19.13, 1.54),
        ("AutoBox2", 13.82, 18.23, 1.51),
        ("AutoBox1", 15.20, 20.36, 1.69),
        ("AutoBox3", 15.46, 19.31, 1.57),
    ],
)
def test_means_over_series_as_the_mcomp_package_publishes_them(method, smape, mape, mase):
    """Hyndman, R package Mcomp, article "Forecast comparisons": sMAPE recalculated, MAPE, MASE."""
    data = m3()
    forecast = data.rivals[method]
    assert np.mean(metrics.smape(data.actual, forecast)) == pytest.approx(smape, abs=0.005)
    assert np.mean(metrics.mape(data.actual, forecast)) == pytest.approx(mape, abs=0.005)
    errors = np.nanmean(np.abs(data.actual - forecast), axis=1) / data.scales()
    assert np.mean(errors) == pytest.approx(mase, abs=0.0055)
    seasonal = data.periods == "MONTHLY"
    found = metrics.mase(
        data.actual[seasonal], forecast[seasonal], history=data.histories[seasonal], seasonality=12
    )
    np.testing.assert_allclose(found, errors[seasonal], rtol=1e-12)


# Makridakis and Hibon (2000): the mean over all points of all series. Their tables (13 to 16, by period, and
# 6, of all) have fewer digits or, of monthly series, errors that later recalculations mend; these are the
# recalculated values: yearly, quarterly, monthly, other, all.
M3_TABLE = {
    "NAIVE2": (17.88, 9.95, 16.89, 6.30, 15.46),
    "SINGLE": (17.82, 9.72, 15.30, 6.29, 14.31),
    "HOLT": (20.02, 10.94, 15.79, 4.81, 15.03),
    "DAMPEN": (17.36, 9.36, 14.58, 4.61, 13.64),
    "WINTER": (20.02, 10.84, 15.93, 4.81, 15.11),
    "COMB S-H-D": (17.07, 9.22, 14.47, 4.56, 13.51),
    "B-J auto": (17.73, 10.26, 14.80, 5.06, 13.99),
    "AutoBox1": (21.59, 10.96, 15.81, 4.93, 15.21),
    "AutoBox2": (16.59, 10.00, 15.73, 4.41, 14.46),
    "AutoBox3": (20.88, 11.19, 16.59, 4.71, 15.71),
    "ROBUST-Trend": (17.03, 9.79, 18.93, 4.58, 16.70),
    "ARARMA": (18.36, 10.19, 15.83, 4.38, 14.74),
    "Auto-ANN": (18.57, 10.20, 15.03, 4.80, 14.23),
    "Flors-Pearc1": (17.21, 9.95, 15.99, 5.09, 14.72),
    "Flors-Pearc2": (17.84, 10.43, 15.19, 4.89, 14.30),
    "PP-Autocast": (17.13, 9.39, 15.33, 4.62, 14.14),
    "ForecastPro": (17.27, 9.82, 13.90, 4.60, 13.23),
    "SMARTFCS": (17.71, 10.15, 15.01, 4.86, 14.11),
    "THETAsm": (17.92, 9.82, 15.38, 4.93, 14.34),
    "THETA": (16.97, 8.96, 13.89, 4.41, 13.05),
    "RBF": (16.42, 9.57, 14.76, 5.60, 13.74),
    "ForcX": (16.48, 9.54, 14.47, 4.64, 13.50),
}


@needs_m3
def test_every_method_of_m3_by_period():
    data = m3()
    found = {}
    for method, forecast in data.rivals.items():
        points = metrics.smape_points(data.actual, forecast)
        scopes = [data.periods == period for period in PERIODS] + [np.full(len(data.ids), True)]
        found[method] = tuple(round(float(np.nanmean(points[scope])), 2) for scope in scopes)
    assert len(data.ids) == 3003 and found == M3_TABLE
