"""Forecasts by covariates: what they explain is learned, what is not known is not seen, shares add up."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from seedbed.config import UserError
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.ensemble_learner import EnsembleForecaster
from seedbed.forecasting.exogenous import facts_of
from seedbed.forecasting.fitting import score
from seedbed.forecasting.forecaster import NBEATSForecasterConfig
from seedbed.forecasting.panels import SeriesSet
from seedbed.forecasting.windows import WindowPresentations, Windows
from seedbed.learner import Learner
from tests.conformance import check_learner
from tests.forecasting.promotions import COVARIATES, FREQUENCIES, HORIZON, load, promotions
from tests.forecasting.test_forecaster import fit, training

PLAIN: list[dict[str, Any]] = [{"name": "generic", "blocks": 1, "width": 32, "theta_size": 8}]
STACKS: dict[str, list[dict[str, Any]]] = {
    "interpretable": [*PLAIN, {"name": "exogenous", "width": 32}],
    "generic": [{"name": "exogenous_context", "width": 16, "context_size": 4, "hidden_size": 8}, *PLAIN],
}


def config(kind: str = "interpretable", **changed: Any) -> NBEATSForecasterConfig:
    values = {
        "name": "nbeats",
        "model": {"name": "nbeatsx", "stacks": STACKS[kind]},
        "lookbacks": [2, 3],
        "losses": ["mase"],
        "level": "last",
    }
    return NBEATSForecasterConfig.parse({**values, **changed}, "forecaster")


def train_part(
    folder: Path, frame: pl.DataFrame | None = None, **changed: Any
) -> tuple[SeriesSet, SeriesSet]:
    panel = load(folder, promotions() if frame is None else frame, **changed)
    return panel.sets("train")[0], panel.valid()[0]


@pytest.mark.parametrize("kind", STACKS)
def test_is_a_learner(kind: str, tmp_path: Path) -> None:
    series, _ = train_part(tmp_path)

    def make() -> Learner:
        return EnsembleForecaster(config(kind), horizon=HORIZON, seed=1, facts=facts_of(series))

    data = WindowPresentations(series, lookback=3 * HORIZON, seeds=[1], history_horizons=10.0)
    batch = {name: value[:, 0] for name, value in data.batch(0, 8).items()}
    check_learner(make, batch, steps=100, learning_rate=1e-2)


def test_what_a_covariate_explains_is_forecast(tmp_path: Path) -> None:
    """y = level + season + 3 promo + noise: without promo its share is noise to any forecaster."""
    series, valid = train_part(tmp_path)
    chosen = {"max_steps": 120, "global_batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 8e-3}}
    found = fit(config(), series, tmp_path / "with", **chosen).forecast(series)
    blind, _ = train_part(tmp_path, covariates={})
    plain = config(model={"name": "nbeats", "stacks": PLAIN})
    without = fit(plain, blind, tmp_path / "without", **chosen).forecast(blind)
    with_promo, without_promo = (
        score(one.values_NH, valid, history=series)["mase"] for one in (found, without)
    )
    assert with_promo < 0.4 * without_promo
    share = found.components["exogenous"]
    assert share.shape == found.values_NH.shape
    total = np.sum([*found.components.values()], axis=0)
    assert np.abs(total - found.values_NH).max() < 1e-6 * np.abs(found.values_NH).max()
    # within each horizon the exogenous stack's share is what promo does
    promo = promotions()["promo"].to_numpy().reshape(6, -1)[:, -2 * HORIZON : -HORIZON]
    together = [np.corrcoef(promo[i], share[i])[0, 1] for i in range(6) if np.ptp(promo[i]) > 0]
    assert len(together) > 3 and min(together) > 0.9


@pytest.mark.parametrize("kind", STACKS)
def test_the_same_seed_gives_the_same_and_a_saved_one_forecasts_alike(kind: str, tmp_path: Path) -> None:
    series, _ = train_part(tmp_path, promotions(series=3, length=60))
    # Adam's epsilon is next to nothing: beside it the mean over more members would be seen
    chosen = {"max_steps": 5, "optimizer": {"name": "adam", "learning_rate": 5e-3, "epsilon": 1e-20}}
    first, second = (fit(config(kind), series, tmp_path / name, **chosen) for name in ("one", "two"))
    forecasts = first.forecast(series).values_NH
    np.testing.assert_array_equal(forecasts, second.forecast(series).values_NH)
    first.save(tmp_path / "saved")
    loaded = config(kind).load(tmp_path / "saved", series.config)
    np.testing.assert_array_equal(loaded.forecast(series).values_NH, forecasts)
    # in parts, one member after the other, each learns the same
    apart = fit(config(kind, together=1), series, tmp_path / "apart", **chosen)
    np.testing.assert_allclose(apart.forecast(series).values_NH, forecasts, rtol=1e-4)


@pytest.mark.parametrize("kind", STACKS)
def test_only_what_is_known_ahead_moves_a_forecast_after_the_cutoff(kind: str, tmp_path: Path) -> None:
    """Trained and forecast with spikes after the cutoff, one column at a time."""
    frame = promotions(series=3, length=60)
    after = pl.int_range(pl.len()).over("unique_id") >= 54

    def forecasts(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        spiked = frame.with_columns(pl.when(after).then(7.0).otherwise(name).alias(name))
        history = load(tmp_path, spiked).sets("history")[0]
        return fit(config(kind), history, tmp_path / name, max_steps=5).forecast(history).values_NH

    plain = load(tmp_path, frame).sets("history")[0]
    expected = fit(config(kind), plain, tmp_path / "plain", max_steps=5).forecast(plain).values_NH
    for name in ("y", "visits"):
        np.testing.assert_array_equal(forecasts(name), expected)
    assert not np.allclose(forecasts("promo"), expected)


def test_short_series_with_covariates_are_learned_from(tmp_path: Path) -> None:
    frame = promotions(series=2, length=60)
    short = promotions(series=3, length=20, seed=3).filter(pl.col("unique_id") == "가게 2")
    series, _ = train_part(tmp_path, pl.concat([frame, short]))
    fitted = fit(config(), series, tmp_path / "fit", max_steps=5)
    assert np.isfinite(fitted.forecast(series).values_NH).all()
    batch = Windows(series, lookback=18).at_end()
    assert batch["covariate_mask"][2].tolist() == [0.0] * 10 + [1.0] * 14


def recipe(forecaster: dict[str, Any], covariates: dict[str, Any]) -> ForecastRecipe:
    values = {
        "source": "x",
        "panel": {"name": "long", "frequencies": FREQUENCIES, "covariates": covariates},
        "forecaster": forecaster,
        "training": training().model_dump(mode="json"),
    }
    return ForecastRecipe.parse(values, "forecast.x")


@pytest.mark.parametrize(
    ("forecaster", "covariates", "told"),
    [
        (
            {"name": "naive2"},
            COVARIATES,
            "naive2 takes no covariates, and the panel has past=[visits] future=",
        ),
        ({"name": "statistical", "model": "theta"}, COVARIATES, "statistical takes no covariates"),
        (
            {"name": "network", "model": {"name": "mlp", "width": 8, "num_layers": 1}},
            COVARIATES,
            "network takes no covariates",
        ),
        (
            config(model={"name": "nbeats", "stacks": PLAIN}).model_dump(mode="json"),
            COVARIATES,
            "nbeats takes no covariates",
        ),
        (config().model_dump(mode="json"), {}, "forecaster.model nbeatsx takes covariates; name some"),
        (config().model_dump(mode="json"), {"past": ["visits"]}, "a stack exogenous forecasts by covariates"),
    ],
)
def test_a_recipe_is_refused_before_anything_is_read(
    forecaster: dict[str, Any], covariates: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as caught:
        recipe(forecaster, covariates)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_past_covariates_alone_are_taken_by_a_context(tmp_path: Path) -> None:
    given = {"past": ["visits"]}
    assert recipe(config("generic").model_dump(mode="json"), given).panel.covered().names == ("visits",)
    series, _ = train_part(tmp_path, promotions(series=2, length=60), covariates=given)
    fitted = fit(config("generic"), series, tmp_path / "fit", max_steps=3)
    assert np.isfinite(fitted.forecast(series).values_NH).all()
    with torch.no_grad():
        assert fitted.learner.members(*_inputs(series)).shape == (2, 2, HORIZON)


def _inputs(series: SeriesSet) -> tuple[Any, ...]:
    from seedbed.models.exogenous import Exogenous

    batch = Windows(series, lookback=18).at_end()
    given = Exogenous(
        *(batch[name].expand(2, *batch[name].shape) for name in ("past", "future", "static")),
        batch["covariate_mask"].expand(2, -1, -1),
    )
    return batch["insample"].expand(2, -1, -1), batch["insample_mask"].expand(2, -1, -1), given
