"""Layers in turn: when they begin, that before it nothing of theirs moves, and the same bits after a kill."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from seedbed.config import UserError
from seedbed.training.optim import set_learning_rates
from seedbed.training.unfreezing import GradualUnfreezingConfig, HeadFirstConfig, Thaw
from tests.training.optim.kinds import KINDS
from tests.training.test_learning_rates import interrupted, same
from tests.training.toy import Regression, Sums, fit, recipe

DEPTHS: Mapping[str, int] = {"first.weight": 0, "first.bias": 1, "second.weight": 2, "second.bias": 2}
GRADUAL = {"name": "gradual_unfreezing", "every_steps": 8}
HEAD_FIRST = {"name": "head_first", "head_steps": 22, "warmup_steps": 3}


def test_one_layer_more_every_so_often() -> None:
    config = GradualUnfreezingConfig(name="gradual_unfreezing", every_steps=10)
    assert [config.begins(depth, top=3) for depth in range(4)] == [30, 20, 10, 0]
    assert [config.factor(step, 2, top=3) for step in (0, 9, 10, 11)] == [0.0, 0.0, 1.0, 1.0]


def test_the_head_first_and_then_a_climb() -> None:
    config = HeadFirstConfig(name="head_first", head_steps=10, warmup_steps=3)
    assert [config.factor(step, 0, top=3) for step in (9, 10, 11, 12, 13, 99)] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert [config.factor(step, 3, top=3) for step in (0, 1, 2, 3)] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("name", KINDS)
def test_what_has_not_begun_does_not_move(name: str) -> None:
    """Weight decay and momentum included; and each begins in the step that is its turn."""
    module, data = Regression(), Sums()
    config = recipe(optimizer={"name": name, "weight_decay": 0.1, **KINDS[name]})
    optimizer = config.optimizer.build(module)
    kind = GradualUnfreezingConfig.parse(GRADUAL, "unfreezing")
    thaw = Thaw(kind, optimizer, module, DEPTHS, max_steps=20)
    for step in range(20):
        before = {parameter: module.get_parameter(parameter).detach().clone() for parameter in DEPTHS}
        set_learning_rates(optimizer, 1.0)
        thaw.scale_rates(step)
        module.whole_loss(data.batch(step * 12, 12))["loss"].backward()
        thaw.withhold(step)
        optimizer.step()
        optimizer.zero_grad()
        for parameter, depth in DEPTHS.items():
            moved = not torch.equal(module.get_parameter(parameter), before[parameter])
            assert moved is (step >= 8 * (2 - depth)), f"{parameter} at step {step}"


def test_until_its_turn_a_body_is_as_one_without_gradient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The curve of 22 steps is, bit for bit, that of a network whose first layer cannot learn."""
    changes = {"schedule": {"name": "constant"}, "validate_every": 11, "log_every": 11, "weight_decay": 0.1}
    optimizer = {"name": "adamw", "learning_rate": 0.02, "weight_decay": changes.pop("weight_decay")}
    _, thawed, _ = fit(tmp_path / "a", depths=DEPTHS, optimizer=optimizer, unfreezing=HEAD_FIRST, **changes)
    original = Regression.__init__

    def frozen(self: Regression, seed: int = 0) -> None:
        original(self, seed)
        self.first.requires_grad_(False)

    _, free, _ = fit(tmp_path / "b", optimizer=optimizer, **changes)
    monkeypatch.setattr(Regression, "__init__", frozen)
    head_alone = {"name": "head_first", "head_steps": 39, "warmup_steps": 3}
    _, stiff, _ = fit(
        tmp_path / "c",
        depths=DEPTHS,
        optimizer=optimizer,
        unfreezing=head_alone,
        **changes,
    )
    assert [row for row in thawed.curves if row[0] <= 22] == [row for row in stiff.curves if row[0] <= 22]
    assert [row for row in thawed.curves if row[0] > 22] != [row for row in stiff.curves if row[0] > 22]
    assert [row for row in thawed.curves if row[0] == 11] != [row for row in free.curves if row[0] == 11]


@pytest.mark.parametrize(("kind", "step"), [(GRADUAL, 3), (GRADUAL, 12), (HEAD_FIRST, 23)])
def test_continued_to_the_same_bits(
    kind: dict[str, object], step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, trained, _ = fit(tmp_path / "whole", depths=DEPTHS, unfreezing=kind)
    interrupted(monkeypatch, tmp_path / "cut", step, depths=DEPTHS, unfreezing=kind)
    resumed, again, data = fit(tmp_path / "cut", depths=DEPTHS, unfreezing=kind)
    assert 0 < len(data.served) < 40 * 12 and same(resumed, whole) and again == trained


def test_groups_are_cut_by_depth_and_keep_their_settings() -> None:
    module = Regression()
    optimizer = torch.optim.SGD([{"params": list(module.parameters()), "lr": 0.5, "peak": 0.5}])
    thaw = Thaw(
        GradualUnfreezingConfig(name="gradual_unfreezing", every_steps=5), optimizer, module, DEPTHS,
        max_steps=11,
    )  # fmt: skip
    assert [(g["depth"], g["peak"], len(g["params"])) for g in optimizer.param_groups] == [
        (0, 0.5, 1),
        (1, 0.5, 1),
        (2, 0.5, 2),
    ]
    thaw.scale_rates(5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.5, 0.5]


def test_a_turn_that_never_comes_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the lowest depth would begin at step 16, and max_steps is 16"):
        fit(tmp_path, depths=DEPTHS, max_steps=16, unfreezing=GRADUAL)


def test_a_learner_without_layers_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unfreezing: it needs one encoder with a head on it"):
        fit(tmp_path, unfreezing=GRADUAL)
