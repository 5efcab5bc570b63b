"""The seconds of a run add up over its starts."""

import json
from pathlib import Path

import pytest

from seedbed.config import UserError
from seedbed.training.elapsed import Elapsed, read_elapsed, write_elapsed
from tests.training.toy import fit, poison


def test_written_and_read(tmp_path: Path) -> None:
    assert read_elapsed(tmp_path) == Elapsed(0, 0.0)
    write_elapsed(tmp_path, Elapsed(7, 1.25))
    assert read_elapsed(tmp_path) == Elapsed(7, 1.25)


def test_a_run_goes_on_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, step=10)
    with pytest.raises(UserError):
        fit(tmp_path)
    first = read_elapsed(tmp_path / "checkpoints")
    assert first.steps == 9 and first.seconds > 0
    path = tmp_path / "checkpoints/elapsed.json"
    path.write_text(json.dumps({"steps": 9, "seconds": 1000.0}))
    fit(tmp_path)
    last = read_elapsed(tmp_path / "checkpoints")
    assert last.steps == 40 and 1000 < last.seconds < 1100
