"""The forecast stage: what it writes, that it never reads the test part, resuming, and new series later."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed.config import Machine, UserError
from seedbed.corpora import TestSplit
from seedbed.forecasting import ForecastRecipe
from seedbed.forecasting.saved import load_forecaster
from seedbed.stages import forecast
from seedbed.tracking import SilentRun
from seedbed.workspace import Workspace, hash_folder
from tests.forecasting.panels import config as panel_config
from tests.forecasting.panels import rows, table
from tests.forecasting.promotions import config as promotion_config
from tests.forecasting.promotions import promotions

NBEATS = {
    "name": "nbeats",
    "model": {
        "name": "nbeats",
        "stacks": [
            {"name": "trend", "blocks": 2, "width": 8, "degree": 2},
            {"name": "seasonality", "blocks": 2, "width": 8},
        ],
    },
    "lookbacks": [2, 3],
    "losses": ["smape"],
}
TRAINING = {
    "max_steps": 6,
    "global_batch_size": 8,
    "seed": 1,
    "precision": "fp32",
    "gradient_clip": 1e6,
    "log_every": 3,
    "optimizer": {"name": "adamw", "learning_rate": 5e-3, "weight_decay": 0.0},
    "schedule": {"name": "constant"},
}


@pytest.fixture(autouse=True)
def untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def open_run(workspace: Workspace, label: str | None = None) -> Iterator[SilentRun]:
        yield SilentRun()

    monkeypatch.setattr(forecast, "open_run", open_run)


def recipe(forecaster: dict[str, Any], **changed: Any) -> ForecastRecipe:
    values = {
        "source": "mine",
        "panel": panel_config().model_dump(mode="json"),
        "forecaster": forecaster,
        "training": TRAINING if forecaster["name"] == "nbeats" else None,
    }
    return ForecastRecipe.parse({**values, **changed}, "forecast.x")


def run(root: Path, recipe: ForecastRecipe, frame: pl.DataFrame, name: str = "mine") -> Path:
    source = root / "data/raw/mine"
    source.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(source / "series.parquet")
    workspace = Workspace(
        root=root,
        verb="forecast",
        run=name,
        machine=Machine(threads=1),
        out=root / "models/forecast" / name,
        scratch=root / ".scratch" / name,
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={},
        inputs={"fetch/mine": source},
    )
    assert forecast.inputs(recipe) == [("fetch", "mine")]
    forecast.run(workspace, recipe)
    return workspace.out


def test_writes_forecasts_that_continue_the_history(tmp_path: Path) -> None:
    out = run(tmp_path, recipe(NBEATS), table())
    found = pl.read_parquet(out / "forecasts.parquet")
    keys = ["unique_id", "ds", "cutoff", "frequency"]
    assert found.columns == [*keys, "mine", "trend", "seasonality", "ensemble"]
    test = panel_config().load(tmp_path / "data/raw/mine").test(TestSplit("a test"))
    assert found.select("unique_id", "ds", "frequency").equals(test.select("unique_id", "ds", "frequency"))
    assert found.filter(pl.col("unique_id") == "q0")["cutoff"].unique().to_list() == [
        table().filter(pl.col("unique_id") == "q0")["ds"][-5]
    ]
    total = found["trend"] + found["seasonality"] + found["ensemble"]
    assert ((total - found["mine"]).abs() <= 1e-6 * found["mine"].abs()).all()
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics) == {
        f"valid/{part}{key}" for part in ("", "yearly/", "quarterly/") for key in ("smape", "mase")
    }
    weighted = (4 * metrics["valid/yearly/smape"] + 2 * metrics["valid/quarterly/smape"]) / 6
    assert metrics["valid/smape"] == pytest.approx(weighted)
    curves = pl.read_csv(out / "curves.csv")
    assert set(curves["part"]) == {"yearly", "yearly/refit", "quarterly", "quarterly/refit"}


def test_the_test_part_decides_nothing_not_a_byte(tmp_path: Path) -> None:
    hashes = []
    for number, spike in enumerate((0.0, 1e6)):
        out = run(tmp_path / str(number), recipe(NBEATS), table(spike=spike))
        hashes.append(hash_folder(out))
    assert hashes[0] == hashes[1]


def test_a_run_stopped_between_fits_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = hash_folder(run(tmp_path / "whole", recipe(NBEATS), table()))
    fits = 0
    fit = forecast._fit

    def stop_at_the_third(*args: Any, **kwargs: Any) -> Any:
        nonlocal fits
        fits += 1
        if fits == 3:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    monkeypatch.setattr(forecast, "_fit", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", recipe(NBEATS), table())
    assert not (tmp_path / "stopped/models/forecast/mine").exists()
    monkeypatch.setattr(forecast, "_fit", fit)
    assert hash_folder(run(tmp_path / "stopped", recipe(NBEATS), table())) == whole


def test_a_saved_forecaster_has_its_calibration(tmp_path: Path) -> None:
    backtest = {"windows": 4, "step": 1}
    out = run(tmp_path, recipe(NBEATS, backtest=backtest, conformal={"levels": [50, 80]}), table())
    published = pl.read_parquet(out / "forecasts.parquet")
    assert {"mine-lo-50", "mine-hi-80"} <= set(published.columns)
    panel = panel_config().load(tmp_path / "data/raw/mine")
    assert load_forecaster(out).forecast(panel.history).equals(published)
    weights = out / "members/yearly.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(bytes([*kept[:-1], kept[-1] ^ 1]))
    with pytest.raises(UserError, match=r"calibration\.json: made for other weights than those in"):
        load_forecaster(out)
    weights.write_bytes(kept)
    (out / "calibration.json").unlink()
    with pytest.raises(UserError, match=r"calibration\.json: no such file, but mine was saved with it"):
        load_forecaster(out)


@pytest.mark.parametrize("forecaster", [{"name": "naive2"}, {"name": "seasonal_naive"}, NBEATS])
def test_a_saved_forecaster_forecasts_again_and_anew(forecaster: dict[str, Any], tmp_path: Path) -> None:
    out = run(tmp_path, recipe(forecaster), table())
    assert (out / "members").is_dir() == (forecaster is NBEATS)
    saved = load_forecaster(out)
    panel = panel_config().load(tmp_path / "data/raw/mine")
    published = pl.read_parquet(out / "forecasts.parquet")
    assert saved.forecast(panel.history).equals(published)
    new = table().filter(pl.col("unique_id") == "y3").with_columns(pl.lit("never seen").alias("unique_id"))
    ahead = saved.forecast(new)
    assert ahead["ds"].to_list()[0] > new["ds"].max() and ahead.height == 3
    assert np.isfinite(ahead["mine"].to_numpy()).all()


def test_without_refit_the_weights_do_not_see_the_valid_part(tmp_path: Path) -> None:
    forecasts = [
        pl.read_parquet(
            run(tmp_path / str(refit), recipe(NBEATS, refit=refit), table()) / "forecasts.parquet"
        )
        for refit in (True, False)
    ]
    assert (
        forecasts[0]
        .drop("mine", "trend", "seasonality", "ensemble")
        .equals(forecasts[1].drop("mine", "trend", "seasonality", "ensemble"))
    )
    assert not forecasts[0]["mine"].equals(forecasts[1]["mine"])


def test_naive2_beside_by_hand(tmp_path: Path) -> None:
    out = run(tmp_path, recipe({"name": "naive2"}), table(), name="naive2-mine")
    found = pl.read_parquet(out / "forecasts.parquet")
    assert found.columns == ["unique_id", "ds", "cutoff", "frequency", "naive2-mine"]
    last = table().filter(pl.col("unique_id") == "y1")["y"][-4]
    assert found.filter(pl.col("unique_id") == "y1")["naive2-mine"].to_list() == [last] * 3
    assert (out / "curves.csv").read_text() == "part,step,metric,value\n"


def test_a_backtest_and_its_intervals_see_no_test_part(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "backtest": {"windows": 2, "step": 1, "refit": True},
        "conformal": {"levels": [50]},
    }
    outs = [
        run(tmp_path / str(spike), recipe(NBEATS, **asked), table(spike=spike), name="nbeats-mine")
        for spike in (0.0, 1e6)
    ]
    assert hash_folder(outs[0]) == hash_folder(outs[1])
    found = pl.read_parquet(outs[0] / "forecasts.parquet")
    assert [c for c in found.columns if c.startswith("nbeats-mine")] == [
        "nbeats-mine", "nbeats-mine-lo-50", "nbeats-mine-hi-50",
    ]  # fmt: skip
    assert (found["nbeats-mine-lo-50"] < found["nbeats-mine-hi-50"]).all()
    tested = pl.read_parquet(outs[0] / "cross_validation.parquet")
    assert tested.columns[:6] == ["unique_id", "ds", "cutoff", "y", "frequency", "nbeats-mine"]
    assert tested.height == (4 * 3 + 2 * 4) + (3 * 3 + 2 * 4), "y0 has one point before the first cutoff"
    test = panel_config().load(tmp_path / "0.0/data/raw/mine").test(TestSplit("a test"))
    assert not tested.join(test, on=["unique_id", "ds"]).height
    assert "backtest/yearly/mase" in json.loads((outs[0] / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"conformal": {"levels": [80]}}, "conformal takes its errors from a backtest"),
        (
            {
                "forecaster": {"name": "statistical", "model": "theta", "levels": [80]},
                "conformal": {"levels": [80]},
                "backtest": {},
            },
            "both make intervals",
        ),
    ],
)
def test_intervals_come_from_one_place(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        recipe(changed.pop("forecaster", {"name": "naive2"}), **changed)


def test_faults_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is there twice"):
        run(tmp_path, recipe(NBEATS), pl.concat([table(), table().tail(1)]))
    assert not (tmp_path / "models").exists()
    with pytest.raises(UserError, match="name the folder of a forecast run"):
        load_forecaster(tmp_path)


def test_gaps_and_short_series_are_learned_from_counted_and_forecast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holes = table().filter(~((pl.col("unique_id") == "y3") & (pl.col("ds").dt.year() == 2005)))
    frame = pl.concat([holes, rows("짧은 것", "yearly", [1.0, 2, 3, 4, 5, 6])])
    out = run(tmp_path, recipe(NBEATS), frame)
    found = pl.read_parquet(out / "forecasts.parquet")
    assert found.filter(pl.col("unique_id") == "짧은 것").height == 3
    assert found["mine"].is_finite().all()
    assert json.loads((out / "panel.json").read_text()) == {
        "series": 7,
        "points": 192,
        "missing": 1,
        "absent_rows": 1,
        "left_out": {},
        "without_valid": {"yearly": 1, "quarterly": 0},
    }
    assert capsys.readouterr().out.splitlines() == [
        "forecast mine: 1 of 192 points have no value (1 of them no row): kept as gaps",
        "forecast mine: 1 series of yearly are too short for a valid part: they are not scored on one",
    ]


def test_without_any_valid_part_there_is_one_fit(tmp_path: Path) -> None:
    frame = pl.concat([rows(name, "yearly", [1.0, 2, 3, 4, 5, 6]) for name in "ab"])
    frequencies = {"yearly": panel_config().model_dump(mode="json")["frequencies"]["yearly"]}
    panel = panel_config(frequencies=frequencies).model_dump(mode="json")
    out = run(tmp_path, recipe(NBEATS, panel=panel, refit=False), frame)
    assert json.loads((out / "metrics.json").read_text()) == {}
    assert set(pl.read_csv(out / "curves.csv")["part"]) == {"yearly/refit"}
    assert pl.read_parquet(out / "forecasts.parquet").height == 6


def test_covariates_of_a_panel_and_of_new_series(tmp_path: Path) -> None:
    """Backtest, intervals and refit with them; past ones of the test part change not a byte."""
    nbeatsx = {
        **NBEATS,
        "model": {
            "name": "nbeatsx",
            "stacks": [{"name": "exogenous_context", "width": 8}, {"name": "exogenous", "width": 8}],
        },
    }
    chosen = recipe(
        nbeatsx,
        panel=promotion_config().model_dump(mode="json"),
        backtest={"windows": 2},
        conformal={"levels": [50]},
    )
    hashes = []
    for number, spike in enumerate((0.0, 1e6)):
        after = pl.int_range(pl.len()).over("unique_id") >= 54
        frame = promotions(series=3, length=60).with_columns(
            pl.when(after).then(pl.col("y", "visits") + spike).otherwise(pl.col("y", "visits")).name.keep()
        )
        out = run(tmp_path / str(number), chosen, frame)
        hashes.append(hash_folder(out))
    assert hashes[0] == hashes[1]
    found = pl.read_parquet(out / "forecasts.parquet")
    columns = ["mine", "mine-lo-50", "mine-hi-50", "level", "exogenous_context", "exogenous", "ensemble"]
    assert set(columns) < set(found.columns) or set(columns) - {"level"} < set(found.columns)
    known = frame.with_columns(y=pl.when(~after).then("y"))
    again = load_forecaster(out).forecast(known)
    np.testing.assert_allclose(again["mine"], found["mine"], rtol=1e-9)
    with pytest.raises(
        UserError, match=r"no column 'size'; the saved forecaster mine was trained with covariates"
    ):
        load_forecaster(out).forecast(known.drop("size"))
