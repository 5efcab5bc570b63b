"""One network on windows: conformance of its Learner, fit, forecast, save and load."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.config import Machine, UserError
from seedbed.forecasting.fitting import Fitting, score
from seedbed.forecasting.network import NetworkForecasterConfig, WindowForecaster
from seedbed.tracking import SilentRun
from tests.conformance import check_learner
from tests.forecasting.panels import load, table
from tests.forecasting.test_forecaster import HORIZON, batch, training

MODELS: list[dict[str, Any]] = [
    {"name": "mlp", "width": 16},
    {"name": "rnn", "hidden_size": 16},
    {"name": "lstm", "hidden_size": 16},
    {"name": "gru", "hidden_size": 16},
    {"name": "tcn", "channels": 16},
]


def config(model: dict[str, Any], **changed: Any) -> NetworkForecasterConfig:
    return NetworkForecasterConfig.parse({"name": "network", "model": model, **changed}, "forecaster")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model["name"])
def test_is_a_learner(model: dict[str, Any]) -> None:
    def make() -> WindowForecaster:
        network = config(model).model.build(lookback=9, horizon=HORIZON, seed=1)
        return WindowForecaster(network, loss="smape", level="last")

    check_learner(make, batch(members=None), steps=60, learning_rate=1e-2, falls_to=0.8)


@pytest.mark.parametrize("model", [MODELS[0], MODELS[4]], ids=lambda model: model["name"])
def test_learns_more_than_the_last_value_and_is_kept(model: dict[str, Any], tmp_path: Path) -> None:
    panel = load(tmp_path, table())
    train, valid = panel.sets("train")[1], panel.valid()[1]
    recipe = training(max_steps=200)
    fitting = Fitting(recipe, Machine(threads=1), tmp_path / "scratch", SilentRun(), "test")
    fitted = config(model).fit(train, valid=valid, fitting=fitting)
    values_NH = fitted.forecast(train).values_NH
    last = np.repeat(train.values[train.offsets[1:] - 1], train.config.horizon)
    naive = score(last.reshape(len(train), -1), valid, history=train)
    assert score(values_NH, valid, history=train)["smape"] < naive["smape"]
    # on a level that is a thousand times as high the same departures, where they are scaled
    network = config(model).model.build(lookback=9, horizon=HORIZON, seed=1)
    learner, windows = WindowForecaster(network, loss="smape", level="last_scaled"), batch(members=None)
    high = {**windows, "insample": 1 + 1e-3 * windows["insample"]}
    departures = [learner(one) - one["insample"][:, -1:] for one in (windows, high)]
    torch.testing.assert_close(departures[1], 1e-3 * departures[0], rtol=2e-3, atol=2e-6)
    fitted.save(tmp_path / "quarterly.safetensors")
    again = config(model).load(tmp_path / "quarterly.safetensors", train.config)
    assert np.array_equal(again.forecast(train).values_NH, values_NH)
    with pytest.raises(UserError, match="no such file"):
        config(model).load(tmp_path / "yearly.safetensors", train.config)
