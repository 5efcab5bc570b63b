"""A lost run is told apart from a noisy one."""

from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.training import checkpoint, health
from tests.training.toy import Regression, fit, poison


def curve(*losses: float) -> list[tuple[int, str, float]]:
    return [(10 * number, "train/loss", loss) for number, loss in enumerate(losses, start=1)]


def test_a_climb_above_the_start_and_far_above_the_lowest_is_divergence() -> None:
    assert health.divergence(curve(9.0, 2.0, 9.5)) == ("the loss has diverged: 9.5 at step 30, 2 at step 20")
    assert health.divergence(curve(9.0, 2.0, 8.9)) is None, "not above the start"
    assert health.divergence(curve(9.0, 8.0, 12.0)) is None, "not far above the lowest"
    assert health.divergence(curve(0.7, 0.01, 0.2)) is None, "noise near 0"
    assert health.divergence(curve(9.0)) is None
    assert health.divergence([*curve(9.0, 2.0), (20, "valid/loss", 99.0)]) is None


def test_examples_of_a_lost_step_are_named_and_cut() -> None:
    found = health.non_finite(6, [f"row {number}" for number in range(10)])
    assert found.startswith("the loss of step 7 is not finite; its batch: row 0, row 1,")
    assert found.endswith("row 7 and 2 more")


def test_a_poisoned_batch_stops_the_run_at_its_step_and_is_never_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two logs, with a checkpoint due after every step."""
    poison(monkeypatch, step=10)
    with pytest.raises(UserError, match=r"toy: the loss of step 10 is not finite; .*step-000000009; lower"):
        fit(tmp_path)
    assert max(path.name for path in (tmp_path / "checkpoints").glob("step-*")) == "step-000000009"
    learner = Regression()
    saved = checkpoint.find(tmp_path / "checkpoints")
    assert saved and saved.progress.step == 9
    saved.restore_result(learner)
    assert all(parameter.isfinite().all() for parameter in learner.parameters())
