"""Transfer: another run's members to the bit, cut to a shorter horizon; frequencies by name or step; refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seedbed.config import Machine, UserError
from seedbed.forecasting.fitting import Fitting
from seedbed.forecasting.panels import FrequencyConfig, SeriesSet
from seedbed.forecasting.saved import Card, load_forecaster, save_forecaster
from seedbed.forecasting.transfer import FittedTransfer, TransferConfig, match
from seedbed.tracking import SilentRun
from tests.forecasting.panels import load, table
from tests.forecasting.test_forecaster import config, fit

TRAINED = {
    "monthly": FrequencyConfig(step="1mo", horizon=12, seasonality=12),
    "weekly": FrequencyConfig(step="1w", horizon=13, seasonality=1),
    "other": FrequencyConfig(step="1i", horizon=8, seasonality=1),
}


def wanted(step: str, horizon: int) -> FrequencyConfig:
    return FrequencyConfig(step=step, horizon=horizon, seasonality=1)


def test_frequencies_match_by_name_or_by_step() -> None:
    assert match("monthly", wanted("1mo", 12), TRAINED, where="x") == "monthly"
    assert match("sales", wanted("1w", 4), TRAINED, where="x") == "weekly"
    assert match("monthly", wanted("1i", 12), TRAINED, where="x") == "monthly", "integers say nothing"
    for name, one, told in (
        ("sales", wanted("1i", 4), r"x: sales \(1i\) matches no frequency of monthly \(1mo, horizon 12\)"),
        ("daily", wanted("1d", 4), "matches no frequency"),
        ("monthly", wanted("1w", 4), "monthly has step 1w here and 1mo where it was trained"),
        ("monthly", wanted("1mo", 13), "horizon 13 of monthly is longer than the 12 that was trained"),
    ):
        with pytest.raises(UserError, match=told):
            match(name, one, TRAINED, where="x")
    twice = TRAINED | {"week": TRAINED["weekly"]}
    with pytest.raises(UserError, match="matches no frequency"):
        match("sales", wanted("1w", 4), twice, where="x")


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, SeriesSet]:
    """The folder of a run of quarterly series, horizon 4, and these series."""
    panel = load(tmp_path, table())
    series = panel.sets("history")[1]
    asked = config("interpretable", levels=[80], level="last")
    fitted = fit(asked, series, tmp_path / "scratch", max_steps=5)
    folder = tmp_path / "nbeats"
    folder.mkdir()
    save_forecaster(
        folder,
        Card(run="nbeats", forecaster=asked, frequencies={"quarterly": series.config}),
        {"quarterly": fitted},
    )
    return folder, series


def transferred(folder: Path, series: SeriesSet) -> FittedTransfer:
    fitting = Fitting(None, Machine(threads=1), folder / "scratch", SilentRun(), "test", folder)
    return TransferConfig(name="transfer").fit(series, valid=None, fitting=fitting)


def test_the_members_are_the_other_runs_to_the_bit(trained: tuple[Path, SeriesSet]) -> None:
    folder, series = trained
    own = load_forecaster(folder).fitted["quarterly"].forecast(series)
    for horizon in (4, 3):
        shorter = replace(
            series, config=series.config.model_copy(update={"horizon": horizon, "seasonality": 1})
        )
        found = transferred(folder, shorter).forecast(shorter)
        assert np.array_equal(found.values_NH, own.values_NH[:, :horizon])
        assert np.array_equal(found.intervals[80][0], own.intervals[80][0][:, :horizon])
        np.testing.assert_allclose(sum(found.components.values()), found.values_NH, rtol=1e-6)
    longer = replace(series, config=series.config.model_copy(update={"horizon": 5}))
    with pytest.raises(UserError, match="test: horizon 5 of quarterly is longer than the 4 that was trained"):
        transferred(folder, longer)


def test_series_shorter_than_the_lookback_are_forecast(trained: tuple[Path, SeriesSet]) -> None:
    folder, series = trained
    short = series.last(2)
    assert np.isfinite(transferred(folder, short).forecast(short).values_NH).all()


def test_it_leaves_no_members_of_its_own(trained: tuple[Path, SeriesSet], tmp_path: Path) -> None:
    folder, series = trained
    out = tmp_path / "transferred"
    out.mkdir()
    card = Card(run="t", forecaster=TransferConfig(name="transfer"), frequencies={"quarterly": series.config})
    save_forecaster(out, card, {"quarterly": transferred(folder, series)})
    with pytest.raises(UserError, match="transferred: forecasts with another run's members and has none"):
        load_forecaster(out)
