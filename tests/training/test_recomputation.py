"""Blocks computed again in the backward pass: less is kept, no bit changes, dropout included."""

from pathlib import Path

import pytest
import torch

from seedbed.config import Machine
from seedbed.training.probe import SavedBytes
from seedbed.training.recomputation import recomputing
from tests.training.toy import Part, Regression, Sums, fit

MACHINE = Machine(threads=1, checkpoint_minutes=1e-9, tokens_per_device=6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_bits_with_dropout(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, trained, _ = fit(tmp_path / "plain", machine=MACHINE, precision=precision)
    calls, original = [], Part.forward

    def counted(self: Part, features: torch.Tensor) -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        return original(self, features)

    monkeypatch.setattr(Part, "forward", counted)
    machine = MACHINE.model_copy(update={"activation_checkpointing": True})
    again, trained_again, _ = fit(tmp_path / "again", machine=machine, precision=precision)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), again.parameters(), strict=True))
    assert trained.curves == trained_again.curves
    assert sum(calls) == 40 * 2 * 2, "each micro-batch of each step, forward and again"
    assert "forward" not in vars(again.first), "as it was"


def test_only_inputs_are_kept() -> None:
    """Of the block its input (12 x 8), where tanh and dropout would have kept more."""
    kept = []
    for enabled in (False, True):
        learner = Regression().train()
        saved = SavedBytes(learner)
        with recomputing(learner, enabled=enabled), saved.watching():
            learner.whole_loss(Sums().batch(0, 12))["loss"].backward()
        kept.append(saved.total)
    assert kept[1] < kept[0] - 12 * 16 * 4
