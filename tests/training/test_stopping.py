"""Early stopping: at the right validation, and at the same step after a kill."""

import shutil
from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.training.stopping import PatienceConfig
from tests.training.toy import fit, recipe

RISING = {"name": "patience", "metric": "valid/loss", "mode": "max", "patience": 2}
"""The toy's loss falls, so that none after the first is a better maximum: it stops at the third validation."""


def patience(**changed: object) -> PatienceConfig:
    return PatienceConfig.parse(
        {"name": "patience", "metric": "valid/loss", "mode": "min", "patience": 2} | changed, "stopping"
    )


def curve(*values: float) -> list[tuple[int, str, float]]:
    rows = [(step, "valid/loss", value) for step, value in enumerate(values)]
    return [row for step, name, value in rows for row in ((step, "train/loss", 9.0), (step, name, value))]


@pytest.mark.parametrize(
    ("values", "changed", "stops"),
    [
        ((3, 2, 1), {}, False),
        ((3, 4), {}, False),
        ((3, 4, 3), {}, True),  # as good is no better
        ((3, 4, 2, 5), {}, False),  # a better one begins the count again
        ((3, 4, 2, 5, 6), {}, True),
        ((3, 2.95, 2.91), {"threshold": 0.1}, True),
        ((0.5, 0.6, 0.7), {"mode": "max"}, False),
        ((0.5, 0.4, 0.5), {"mode": "max"}, True),
        ((), {}, False),
    ],
)
def test_the_rule(values: tuple[float, ...], changed: dict[str, object], stops: bool) -> None:
    assert patience(**changed).stops(curve(*values)) is stops


def test_a_metric_that_the_validation_does_not_give_is_told() -> None:
    with pytest.raises(UserError, match=r"stopping\.metric: got 'valid/f1', the validation gives valid/loss"):
        patience(metric="valid/f1").stops(curve(1.0))


def test_a_run_stops_and_is_not_trained_again(tmp_path: Path) -> None:
    learner, trained, data = fit(tmp_path, validate_every=4, stopping=RISING)
    assert [step for step, name, _ in trained.curves if name == "valid/loss"] == [0, 4, 8]
    assert len(data.served) == 8 * 12
    again, result, unused = fit(tmp_path, validate_every=4, stopping=RISING)
    assert unused.served == [] and result.curves == trained.curves
    assert all((a == b).all() for a, b in zip(learner.parameters(), again.parameters(), strict=True))
    # continued from the checkpoint before the last, it stops at the same step with the same weights
    shutil.rmtree(max((tmp_path / "checkpoints").glob("step-*")))
    continued, result, served = fit(tmp_path, validate_every=4, stopping=RISING)
    assert 0 < len(served.served) < 8 * 12 and result.curves == trained.curves
    assert all((a == b).all() for a, b in zip(learner.parameters(), continued.parameters(), strict=True))
    # the steps before are those of a run that does not stop
    _, whole, _ = fit(tmp_path / "whole", validate_every=4)
    assert [row for row in whole.curves if row[0] <= 8] == trained.curves


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(UserError, match="stopping looks at validations"):
        recipe(stopping=RISING, validate_every=0)
    with pytest.raises(UserError, match="averaging last_n begins near max_steps"):
        recipe(stopping=RISING, averaging={"name": "last_n", "count": 2, "every_steps": 5})
    assert recipe(stopping=RISING, averaging={"name": "ema", "decay": 0.9}).stopping is not None
