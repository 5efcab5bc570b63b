"""The ensemble as a Learner: conformance, independence of members, components, leakage, short series."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from seedbed.config import Interrupted, Machine, UserError
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.ensemble_learner import EnsembleForecaster
from seedbed.forecasting.fitting import Fitting, score
from seedbed.forecasting.forecaster import FittedNBEATS, NBEATSForecasterConfig
from seedbed.forecasting.panels import SeriesSet
from seedbed.forecasting.windows import WindowPresentations, Windows
from seedbed.tracking import SilentRun
from seedbed.training import Training
from tests.conformance import check_learner, check_two_processes
from tests.forecasting.panels import FREQUENCIES, load, rows, table
from tests.forecasting.panels import config as panel_config

STACKS: dict[str, list[dict[str, Any]]] = {
    "generic": [{"name": "generic", "blocks": 2, "width": 16, "theta_size": 4}],
    "interpretable": [
        {"name": "trend", "blocks": 2, "width": 16, "degree": 2},
        {"name": "seasonality", "blocks": 2, "width": 16},
    ],
}
HORIZON, MEMBERS = 3, 4


def config(kind: str = "generic", **changed: Any) -> NBEATSForecasterConfig:
    values = {
        "name": "nbeats",
        "model": {"name": "nbeats", "stacks": STACKS[kind]},
        "lookbacks": [2, 3],
        "losses": ["smape", "mase"],
    }
    return NBEATSForecasterConfig.parse({**values, **changed}, "forecaster")


def training(**changed: Any) -> Training:
    values = {
        "max_steps": 30,
        "global_batch_size": 16,
        "seed": 1,
        "precision": "fp32",
        "gradient_clip": 1e6,
        "optimizer": {"name": "adamw", "learning_rate": 5e-3, "weight_decay": 0.0},
        "schedule": {"name": "constant"},
    }
    return Training.parse({**values, **changed}, "training")


def fit(
    config: NBEATSForecasterConfig,
    series: SeriesSet,
    scratch: Path,
    valid: SeriesSet | None = None,
    **changed: Any,
) -> FittedNBEATS:
    fitting = Fitting(training(**changed), Machine(threads=1), scratch, SilentRun(), "test")
    return config.fit(series, valid=valid, fitting=fitting)


def batch(*, members: int | None = MEMBERS) -> dict[str, torch.Tensor]:
    """Eight windows per member, whole ones, drawn at random."""
    generator = torch.Generator().manual_seed(0)
    lead = (8,) if members is None else (8, members)
    return {
        "insample": torch.rand(*lead, 9, generator=generator) + 0.5,
        "insample_mask": torch.ones(*lead, 9),
        "outsample": torch.rand(*lead, HORIZON, generator=generator) + 0.5,
        "outsample_mask": torch.ones(*lead, HORIZON),
        "naive_scale": torch.rand(*lead, generator=generator) + 0.5,
        "scale": torch.ones(*lead, dtype=torch.float64),
    }


def make_generic() -> EnsembleForecaster:
    return EnsembleForecaster(config(), horizon=HORIZON, seed=1)


def make_interpretable() -> EnsembleForecaster:
    return EnsembleForecaster(config("interpretable", level="last"), horizon=HORIZON, seed=1)


def test_is_a_learner() -> None:
    check_learner(make_generic, batch(members=None), steps=150, learning_rate=1e-2)
    check_learner(make_interpretable, batch(members=None), steps=150, learning_rate=1e-2, falls_to=0.8)


def test_two_processes_are_one() -> None:
    check_two_processes(make_generic, batch(), scores=False)


def test_members_do_not_touch_each_other() -> None:
    """A member's gradient comes from its own windows."""
    learner, windows = make_generic(), batch()
    learner.whole_loss(windows)["loss"].backward()
    before = [own_gradient(p, 0) for p in learner.parameters()]
    windows["insample"][:, 1:] *= 3
    learner.zero_grad()
    learner.whole_loss(windows)["loss"].backward()
    after = [own_gradient(p, 0) for p in learner.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not all(
        torch.equal(a, own_gradient(p, 1)) for a, p in zip(before, learner.parameters(), strict=True)
    )


def own_gradient(parameter: torch.Tensor, index: int) -> torch.Tensor:
    """A member's part of a stacked gradient."""
    assert parameter.grad is not None
    return parameter.grad.unflatten(0, (MEMBERS, -1))[index].clone()


def test_a_member_learns_as_it_would_alone(tmp_path: Path) -> None:
    """Windows, first weights and Adam's steps of a member are the same whoever learns beside it."""
    series = load(tmp_path, table()).sets("history")[0]
    # Adam's epsilon is next to nothing: beside it the mean over more members would be seen
    adam = {"name": "adam", "learning_rate": 5e-3, "epsilon": 1e-20}
    together = fit(config(), series, tmp_path / "together", optimizer=adam).learner
    alone = fit(config(lookbacks=[3], losses=["mase"]), series, tmp_path / "alone", optimizer=adam).learner
    windows = Windows(series, lookback=9).at_end()
    assert together.plan[3] == alone.plan[0]
    torch.testing.assert_close(
        together.components(windows)[3], alone.components(windows)[0], rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("level", ["zero", "last"])
@pytest.mark.parametrize("kind", STACKS)
def test_components_sum_to_the_median(kind: str, level: str) -> None:
    learner = EnsembleForecaster(config(kind, level=level), horizon=HORIZON, seed=1)
    windows = batch(members=None)
    windows["scale"] *= 1e4
    made = learner.forecast(windows)
    middle_BH, components = made.values_NH, made.components
    names = [stack["name"] for stack in STACKS[kind]]
    assert list(components) == (["level"] if level == "last" else []) + [*names, "ensemble"]
    assert np.abs(sum(components.values()) - middle_BH).max() <= 1e-6 * 1e4
    members_MBH = learner.components(windows).detach().double().sum(1).numpy() * 1e4
    np.testing.assert_allclose(middle_BH, np.median(members_MBH, axis=0), rtol=1e-9)


@pytest.mark.parametrize("level", ["zero", "last"])
def test_forecasts_scale_with_the_series(level: str, tmp_path: Path) -> None:
    learner = EnsembleForecaster(config(level=level), horizon=HORIZON, seed=1)
    series = load(tmp_path, table()).sets("history")[0]
    larger = SeriesSet(**{**series.__dict__, "values": series.values * 2.0**40})
    once = FittedNBEATS(learner, lookback=9, curves=[]).forecast(series).values_NH
    assert np.array_equal(
        FittedNBEATS(learner, lookback=9, curves=[]).forecast(larger).values_NH, once * 2.0**40
    )


def test_same_seed_same_bits_and_a_future_spike_changes_nothing(tmp_path: Path) -> None:
    found = []
    for number, (spike, seed) in enumerate(((0.0, 1), (0.0, 1), (1e6, 1), (0.0, 2))):
        series = load(tmp_path, table(spike=spike)).sets("history")[0]
        fitted = fit(config(), series, tmp_path / str(number), seed=seed)
        found.append((fitted.forecast(series).values_NH, fitted.learner.state_dict()))
    (first, weights), (again, same_weights), (spiked, _), (other, _) = found
    assert np.array_equal(first, again)
    assert all(torch.equal(value, same_weights[name]) for name, value in weights.items())
    assert np.array_equal(first, spiked)
    assert not np.array_equal(first, other)


def test_learns_a_trend_and_a_season_that_naive_does_not(tmp_path: Path) -> None:
    panel = load(tmp_path, table())
    for train, valid in zip(panel.sets("train"), panel.valid(), strict=True):
        fitted = fit(
            config("interpretable"), train, tmp_path / train.frequency, valid, max_steps=150, log_every=50
        )
        found = score(fitted.forecast(train).values_NH, valid, history=train)
        last = np.repeat(train.values[train.offsets[1:] - 1], train.config.horizon)
        naive = score(last.reshape(len(train), -1), valid, history=train)
        assert found["smape"] < naive["smape"]
        logged = {name: value for _, name, value in fitted.curves}
        assert logged["valid/smape"] == pytest.approx(found["smape"], rel=1e-4)
        assert logged["valid/mase"] == pytest.approx(found["mase"], rel=1e-4)
        losses = [value for _, name, value in fitted.curves if name == "train/loss"]
        assert len(losses) == 3 and losses[-1] < losses[0]


def test_saved_weights_forecast_the_same(tmp_path: Path) -> None:
    series = load(tmp_path, table()).sets("history")[0]
    fitted = fit(config(), series, tmp_path / "scratch")
    fitted.save(tmp_path / "yearly.safetensors")
    again = config().load(tmp_path / "yearly.safetensors", series.config)
    assert np.array_equal(fitted.forecast(series).values_NH, again.forecast(series).values_NH)


def test_presentations_and_learner_agree_on_shapes(tmp_path: Path) -> None:
    series = load(tmp_path, table()).sets("train")[0]
    learner = config().build(series.config, seed=1)
    data = WindowPresentations(series, lookback=9, seeds=range(MEMBERS), history_horizons=5.0)
    losses = learner.whole_loss(data.batch(0, 5))
    assert set(losses) == {"loss", "smape", "mase"} and all(v.isfinite() for v in losses.values())
    assert learner.components(Windows(series, lookback=9).at_end()).shape == (MEMBERS, 2, 4, HORIZON)


def test_a_recipe_without_training_is_refused() -> None:
    recipe = {
        "source": "classics",
        "panel": panel_config().model_dump(mode="json"),
        "forecaster": config().model_dump(mode="json"),
    }
    with pytest.raises(UserError, match="nbeats needs `training`"):
        ForecastRecipe.parse(recipe, "forecast.x")
    ForecastRecipe.parse({**recipe, "forecaster": {"name": "naive2"}}, "forecast.x")


def test_a_refit_refuses_a_schedule_that_follows_validations() -> None:
    plateau = {"name": "plateau", "metric": "valid/mase", "mode": "min", "gamma": 0.5, "patience": 2}
    recipe = {
        "source": "classics",
        "panel": panel_config().model_dump(mode="json"),
        "forecaster": config().model_dump(mode="json"),
        "training": training(schedule=plateau, validate_every=5).model_dump(mode="json"),
    }
    with pytest.raises(UserError, match="the refit has none; set refit to false"):
        ForecastRecipe.parse(recipe, "forecast.x")
    ForecastRecipe.parse({**recipe, "refit": False}, "forecast.x")


def test_frequencies_may_have_steps_and_reach_of_their_own(tmp_path: Path) -> None:
    own = {"yearly": {"max_steps": 7, "history_horizons": 1.0}}
    steps = {}
    for series in load(tmp_path, table()).sets("history"):
        fitted = fit(config(by_frequency=own), series, tmp_path / series.frequency, log_every=1)
        steps[series.frequency] = max(step for step, _, _ in fitted.curves)
    assert steps == {"yearly": 7, "quarterly": 30}
    recipe = {
        "source": "classics",
        "panel": panel_config().model_dump(mode="json"),
        "forecaster": config(by_frequency={"daily": {"max_steps": 7}}).model_dump(mode="json"),
        "training": training().model_dump(mode="json"),
    }
    with pytest.raises(UserError, match="by_frequency has daily; the panel has yearly, quarterly"):
        ForecastRecipe.parse(recipe, "forecast.x")


def test_the_level_is_the_last_known_value() -> None:
    learner, windows = make_interpretable(), batch(members=None)
    windows["insample_mask"][:4, -2:] = 0
    level_BH = learner.components(windows)[0, 0]
    expected_B = torch.cat([windows["insample"][:4, -3], windows["insample"][4:, -1]])
    assert torch.equal(level_BH, expected_B[:, None].expand(-1, HORIZON))


def test_the_level_may_be_the_last_season(tmp_path: Path) -> None:
    """The longest that a member's window holds; of one frequency alone, with any `level`, in parts, saved."""
    _, series = load(tmp_path, table()).sets("history")
    horizon = series.config.horizon
    windows = Windows(series, lookback=3 * horizon).at_end()
    ends = {
        points: windows["insample"][:, -points:].repeat(1, horizon)[:, :horizon]
        for points in (3, 2 * horizon + 1)
    }
    for level, together in (("zero", None), ("last", 3)):
        own = config(level=level, together=together, by_frequency={"quarterly": {"seasons": list(ends)}})
        fitted = fit(own, series, tmp_path / level)
        levels_MNH = fitted.learner.components(windows)[:, 0]
        for member, level_NH in zip(fitted.learner.plan, levels_MNH, strict=True):
            assert torch.equal(level_NH, ends[3 if member.lookback == 2 * horizon else 2 * horizon + 1])
        forecasts = fitted.forecast(series)
        fitted.save(tmp_path / "quarterly.safetensors")
        again = own.load(tmp_path / "quarterly.safetensors", series.config).forecast(series)
        assert np.array_equal(forecasts.values_NH, again.values_NH)
        parts = [forecasts.components[name] for name in ("level", "generic", "ensemble")]
        np.testing.assert_allclose(sum(parts), forecasts.values_NH, rtol=1e-6)
    recipe = {
        "source": "classics",
        "panel": panel_config().model_dump(mode="json"),
        "forecaster": config(by_frequency={"yearly": {"seasons": [7]}}).model_dump(mode="json"),
        "training": training().model_dump(mode="json"),
    }
    with pytest.raises(UserError, match=r"the shortest is 7 points; a member's window has 6"):
        ForecastRecipe.parse(recipe, "forecast.x")


def test_members_in_parts_are_the_members_at_once(tmp_path: Path) -> None:
    series, _ = load(tmp_path, table()).sets("train")
    adam = {"name": "adam", "learning_rate": 5e-3, "epsilon": 1e-20}
    whole, parted = (
        fit(config(together=together), series, tmp_path / str(together), optimizer=adam, log_every=10)
        for together in (None, 3)
    )
    found, expected = parted.learner.state_dict(), whole.learner.state_dict()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-4)
    losses = {name for _, name, _ in parted.curves if name.endswith("loss")}
    assert losses == {"members_1_to_3/train/loss", "members_4_to_4/train/loss"}


def test_stopped_within_a_part_and_started_again_it_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series, _ = load(tmp_path, table()).sets("train")
    parted = config(together=3)
    expected = fit(parted, series, tmp_path / "whole").learner.state_dict()
    draw = WindowPresentations.batch
    calls: list[int] = []

    def stopping(self: WindowPresentations, first: int, count: int) -> dict[str, torch.Tensor]:
        calls.append(first)
        if len(calls) == 30 + 12:  # in the second part
            os.kill(os.getpid(), signal.SIGUSR1)
        return draw(self, first, count)

    monkeypatch.setattr(WindowPresentations, "batch", stopping)
    with pytest.raises(Interrupted):
        fit(parted, series, tmp_path / "stopped")
    before = len(calls)
    found = fit(parted, series, tmp_path / "stopped").learner.state_dict()
    assert len(calls) - before < 30, "it began anew"
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_members_that_learn_quantiles_bound_what_comes(tmp_path: Path) -> None:
    """Noise about a level: an interval of 80 % holds about so much of a continuation never seen."""
    generator = np.random.default_rng(0)
    values = 10 + generator.normal(size=(200, 40))
    frame = pl.concat([rows(f"n{number}", "yearly", row.tolist()) for number, row in enumerate(values)])
    panel = load(tmp_path, frame, frequencies={"yearly": FREQUENCIES["yearly"]})
    [train], [valid] = panel.sets("train"), panel.valid()
    asked = config(levels=[80], losses=["mase"], lookbacks=[3])
    fitted = fit(asked, train, tmp_path / "scratch", max_steps=250, global_batch_size=128)
    forecasts = fitted.forecast(train)
    low_NH, high_NH = forecasts.intervals[80]
    assert ((low_NH <= forecasts.values_NH) & (forecasts.values_NH <= high_NH)).all()
    actual_NH = valid.values.reshape(low_NH.shape)
    assert 0.7 < np.mean((low_NH <= actual_NH) & (actual_NH <= high_NH)) < 0.9
    without = fit(config(losses=["mase"], lookbacks=[3]), train, tmp_path / "without", max_steps=1)
    assert without.learner.plan == fitted.learner.plan[:1] and not without.forecast(train).intervals


@pytest.mark.parametrize("kind", STACKS)
def test_a_small_movement_on_a_high_level_is_seen_as_any_other(kind: str) -> None:
    """1 + 1e-3 x is to the networks what x is, where departures are scaled; 1e-3 of it where they are not."""
    windows = batch(members=None)
    low = {**windows, "insample": 1 + 1e-3 * windows["insample"]}
    made = {
        level: EnsembleForecaster(config(kind, level=level), horizon=HORIZON, seed=1)
        for level in ("last", "last_scaled")
    }
    found = {
        level: [learner.components(one)[:, 1:].sum(1) for one in (windows, low)]
        for level, learner in made.items()
    }
    torch.testing.assert_close(found["last_scaled"][1], 1e-3 * found["last_scaled"][0], rtol=2e-3, atol=2e-6)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(found["last"][1], 1e-3 * found["last"][0], rtol=2e-3, atol=2e-6)
