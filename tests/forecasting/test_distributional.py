"""Networks of distributions: a Learner each, intervals that hold what they say, components, saved and loaded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed import metrics
from seedbed.config import Machine, UserError
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.distributional import (
    DistributionalConfig,
    DistributionForecaster,
    FittedDistribution,
)
from seedbed.forecasting.fitting import Fitting
from seedbed.forecasting.panels import SeriesSet
from seedbed.tracking import SilentRun
from tests.conformance import check_learner, check_two_processes
from tests.forecasting.panels import config as panel_config
from tests.forecasting.panels import load, table
from tests.forecasting.test_conformal import panel
from tests.forecasting.test_forecaster import HORIZON, STACKS, batch, training

NBEATS: dict[str, Any] = {"name": "nbeats", "stacks": STACKS["interpretable"]}
MLP: dict[str, Any] = {"name": "mlp", "width": 32, "num_layers": 1}
KINDS = [(NBEATS, "normal"), (NBEATS, "negative_binomial"), (MLP, "student_t"), (MLP, "negative_binomial")]


def config(model: dict[str, Any], distribution: str, **changed: Any) -> DistributionalConfig:
    values = {"name": "distributional", "model": model, "distribution": {"name": distribution}, "repeats": 2}
    return DistributionalConfig.parse({**values, **changed}, "forecaster")


def make(model: dict[str, Any], distribution: str) -> DistributionForecaster:
    return DistributionForecaster(config(model, distribution), horizon=HORIZON, seed=1)


def make_normal() -> DistributionForecaster:
    return make(NBEATS, "normal")


@pytest.mark.parametrize(("model", "distribution"), KINDS)
def test_is_a_learner(model: dict[str, Any], distribution: str) -> None:
    windows = batch(members=None)
    if distribution == "negative_binomial":
        windows |= {"scale": windows["scale"] * 50}
    check_learner(lambda: make(model, distribution), windows, steps=80, learning_rate=1e-2, falls_to=0.9)


@pytest.mark.slow
def test_two_processes_are_one() -> None:
    check_two_processes(make_normal, batch(members=None))


def fit(
    config: DistributionalConfig,
    series: SeriesSet,
    scratch: Path,
    valid: SeriesSet | None = None,
    **changed: Any,
) -> FittedDistribution:
    recipe = training(**{"gradient_clip": 1.0, "global_batch_size": 64, **changed})
    return config.fit(
        series, valid=valid, fitting=Fitting(recipe, Machine(threads=1), scratch, SilentRun(), "test")
    )


@pytest.mark.parametrize(
    ("model", "distribution"),
    [
        (MLP, "normal"),
        (MLP, "negative_binomial"),
        pytest.param(MLP, "student_t", marks=pytest.mark.slow),
        pytest.param(NBEATS, "normal", marks=pytest.mark.slow),
    ],
)
def test_intervals_hold_their_share_of_known_noise(
    model: dict[str, Any], distribution: str, tmp_path: Path
) -> None:
    """A level, a season of three and noise of the distribution's own kind; 400 series, 1,200 points."""
    rng = np.random.default_rng(3)
    level_N1 = rng.uniform(20, 200, (400, 1))
    mean_NT = level_N1 * (1 + 0.2 * np.sin(2 * np.pi * np.arange(45) / 3))
    if distribution == "normal":
        values_NT = mean_NT + 0.1 * level_N1 * rng.normal(size=mean_NT.shape)
    elif distribution == "student_t":
        values_NT = mean_NT + 0.05 * level_N1 * rng.standard_t(3, size=mean_NT.shape)
    else:
        values_NT = rng.negative_binomial(5, 5 / (5 + mean_NT)).astype(np.float64)
    asked = config(model, distribution, level="zero", levels=[80, 95], repeats=1, lookback=4)
    found = fit(asked, panel(values_NT[:, :-3]), tmp_path, max_steps=150).forecast(panel(values_NT[:, :-3]))
    for level, (low_NH, high_NH) in found.intervals.items():
        held = metrics.coverage(values_NT[:, -3:].ravel(), low=low_NH.ravel(), high=high_NH.ravel())
        # a deviation of 1,200 draws is 1.2 and 0.6 per cent; quantiles of counts hold a little more
        assert abs(held - level / 100) < (0.05 if level == 80 else 0.025), (level, held)
    narrow, wide = (found.intervals[level] for level in (80, 95))
    assert (wide[0] < narrow[0]).mean() > 0.99 and (narrow[0] <= found.values_NH).all()


@pytest.mark.parametrize(("model", "distribution"), KINDS)
def test_components_add_up_where_there_are_any_and_all_is_kept(
    model: dict[str, Any], distribution: str, tmp_path: Path
) -> None:
    frame = table()
    frame = frame.with_columns(frame["y"].round()) if distribution == "negative_binomial" else frame
    loaded = load(tmp_path, frame)
    train, valid = loaded.sets("train")[1], loaded.valid()[1]
    asked = config(model, distribution, level="last", levels=[50])
    fitted = fit(asked, train, tmp_path / "scratch", valid, max_steps=4, validate_every=2)
    assert {name for _, name, _ in fitted.curves} >= {"valid/nll", "valid/smape"}
    found = fitted.forecast(train)
    if model is NBEATS and distribution == "normal":
        assert list(found.components) == ["level", "trend", "seasonality", "ensemble"]
        np.testing.assert_allclose(sum(found.components.values()), found.values_NH, rtol=1e-6)
    else:
        assert not found.components
    if distribution == "negative_binomial":
        assert np.array_equal(found.values_NH, np.round(2 * found.values_NH) / 2), "medians of two counts"
    fitted.save(tmp_path / "quarterly.safetensors")
    again = asked.load(tmp_path / "quarterly.safetensors", train.config).forecast(train)
    assert np.array_equal(again.values_NH, found.values_NH)
    assert np.array_equal(again.intervals[50][1], found.intervals[50][1])
    with pytest.raises(UserError, match="no such file"):
        asked.load(tmp_path / "yearly.safetensors", train.config)


def test_frequencies_may_have_steps_of_their_own(tmp_path: Path) -> None:
    asked, steps = config(MLP, "normal", by_frequency={"yearly": {"max_steps": 3}}), {}
    for series in load(tmp_path, table()).sets("history"):
        fitted = fit(asked, series, tmp_path / series.frequency, None, max_steps=5, log_every=1)
        steps[series.frequency] = max(step for step, _, _ in fitted.curves)
    assert steps == {"yearly": 3, "quarterly": 5}
    recipe = {
        "source": "classics",
        "panel": panel_config().model_dump(mode="json"),
        "forecaster": config(MLP, "normal", by_frequency={"daily": {"max_steps": 7}}).model_dump(mode="json"),
        "training": training().model_dump(mode="json"),
    }
    with pytest.raises(UserError, match="by_frequency has daily; the panel has yearly, quarterly"):
        ForecastRecipe.parse(recipe, "forecast.x")


def test_what_it_is_not_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="negative_binomial is of whole numbers"):
        fit(config(MLP, "negative_binomial"), load(tmp_path, table()).sets("train")[0], tmp_path)
    values = {
        "source": "x",
        "panel": panel_config().model_dump(mode="json"),
        "forecaster": config(MLP, "normal").model_dump(mode="json"),
    }
    with pytest.raises(UserError, match="distributional needs `training`"):
        ForecastRecipe.parse(values, "forecast.x")
    both = {"backtest": {}, "conformal": {"levels": [80]}, "training": training().model_dump(mode="json")}
    with pytest.raises(UserError, match="both make intervals; keep one of them"):
        ForecastRecipe.parse({**values, **both}, "forecast.x")
