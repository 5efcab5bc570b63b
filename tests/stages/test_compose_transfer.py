"""compose: forecast runs that take another run's members."""

from pathlib import Path
from typing import Any

import pytest

from seedbed.config import UserError
from seedbed.recipes import load_lock
from seedbed.stages import compose
from tests.stages.table import edit

TRANSFERRED = {"recipe": "transfer-m1", "source": "m1", "model": "nbeats_small-m3"}


def of_m3(project: Path, transfer: dict[str, Any], **changed: Any) -> None:
    """M3 by N-BEATS, and what is transferred from it."""
    trained = {"source": "m3", **changed}
    edit(project, {"fetch": {"m1": {}, "m3": {}}, "forecast": {"nbeats_small-m3": trained}})
    edit(project, {"forecast": {"theta-m3": {"source": "m3"}}, "transfer": {"nbeats_m3-m1": transfer}})


def test_a_transfer_is_a_forecast_run_that_takes_anothers_members(project: Path) -> None:
    of_m3(project, TRANSFERRED)
    compose.run(project)
    lock = load_lock(project)
    assert lock.forecast["nbeats_m3-m1"].model == "nbeats_small-m3"
    assert ("forecast", "nbeats_m3-m1", "model", "forecast", "nbeats_small-m3") in lock.links()
    overridden = compose.compose_with_overrides(
        project, lock, "forecast", "nbeats_m3-m1", ["panel.frequencies.monthly.horizon=6"]
    )
    assert overridden.forecast["nbeats_m3-m1"].panel.frequencies["monthly"].horizon == 6
    with pytest.raises(UserError, match="horizon 19 of monthly is longer than the 18 that was trained"):
        compose.compose_with_overrides(
            project, lock, "forecast", "nbeats_m3-m1", ["panel.frequencies.monthly.horizon=19"]
        )


@pytest.mark.parametrize(
    ("transfer", "changed", "told"),
    [
        (
            {"model": "theta-m3"},
            {},
            "theta-m3 is a statistical, which keeps nothing that could be transferred",
        ),
        ({"model": "nbeats_m3-m1"}, {}, "nbeats_m3-m1 is a transfer, which keeps nothing"),
        ({"model": "nbeats-m9"}, {}, "no forecast run makes 'nbeats-m9'; known: "),
        ({"model": None}, {}, "transfer.nbeats_m3-m1: no model; name the forecast run"),
        ({"recipe": "theta-m3"}, {}, "forecaster transfer forecasts with the members of `model`"),
        (
            {},
            {"model": "theta-m3"},
            "forecast.nbeats_small-m3.model: a run with another's members stands under",
        ),
        (
            {"recipe": "transfer-m1", "panel": "m4"},
            {},
            "weekly (1i) matches no frequency of yearly (1i, horizon",
        ),
    ],
)
def test_what_cannot_be_transferred_is_refused(
    project: Path, transfer: dict[str, Any], changed: dict[str, Any], told: str
) -> None:
    of_m3(project, TRANSFERRED | transfer, **changed)
    with pytest.raises(UserError) as caught:
        compose.run(project)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_members_that_read_covariates_are_not_transferred(project: Path) -> None:
    transfer = {"recipe": "transfer-m1", "source": "classics", "model": "nbeats_generic-classics"}
    edit(project, {"transfer": {"nbeats-again": {**transfer, "panel": "classics"}}})
    compose.run(project)
    reads = {"forecaster": "nbeatsx_generic", "panel.covariates.calendar": ["month"]}
    edit(project, {"set": {"forecast": {"nbeats_generic-classics": reads}}})
    with pytest.raises(UserError, match=r"was trained with covariates .*month.*choose a run without"):
        compose.run(project)
