"""What holds for every schedule: its warmup, that it is a function, and that old numbers stay."""

import random
from pathlib import Path
from typing import get_args

import pytest
import yaml
from torch.optim import lr_scheduler

from seedbed.config import UserError
from seedbed.training import Training
from seedbed.training.schedules import (
    ConstantConfig,
    CosineConfig,
    InverseSqrtConfig,
    LinearConfig,
    OneCycleConfig,
    PlateauConfig,
    Schedule,
    SlantedTriangularConfig,
    StepsConfig,
    WarmupStableDecayConfig,
)
from seedbed.training.schedules.base import ScheduleBase
from tests.training.schedules.curves import (
    HISTORY,
    KINDS,
    STEPS,
    TOLERANCE,
    distance,
    factors,
    schedule,
    tag,
    torch_factors,
)
from tests.training.toy import recipe

CONF = Path(__file__).parents[3] / "conf" / "schedule"


def test_every_kind_is_tried_here() -> None:
    assert list(KINDS) == list(get_args(get_args(Schedule)[0]))


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_files_in_conf_are_what_they_are_called(path: Path) -> None:
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert settings["name"] == path.stem and settings["warmup"] == {"name": "gradual"}
    [model] = [model for model in KINDS if tag(model) == path.stem]
    assert all(0 <= factor <= 1 for factor in factors(model.parse(settings, path.name)))


@pytest.mark.parametrize("model", KINDS, ids=tag)
def test_a_schedule_is_a_function_of_the_step(model: type[ScheduleBase]) -> None:
    """In any order, in an object read anew, and with a history that has gone on: the same bits."""
    settings = {**KINDS[model], "warmup_steps": 20}
    expected = factors(schedule(model, **settings))
    resumed = Training.parse(
        recipe(schedule={"name": tag(model), **settings}, max_steps=STEPS).model_dump(), "again"
    )
    order = list(range(STEPS))
    random.Random(0).shuffle(order)
    for step in order:
        known = [point for point in HISTORY if point[0] <= step]
        assert resumed.schedule.factor(step, STEPS, history=known) == expected[step]


@pytest.mark.parametrize("model", KINDS, ids=tag)
@pytest.mark.parametrize(
    "warmup", [{"name": "gradual"}, {"name": "gradual", "start": 0.0}, {"name": "flat", "level": 0.1}]
)
def test_a_warmup_leads_to_the_schedule_and_moves_it(
    model: type[ScheduleBase], warmup: dict[str, object]
) -> None:
    plain = schedule(model, **KINDS[model])
    warm = schedule(model, **KINDS[model], warmup_steps=100, warmup=warmup)
    found = factors(warm)
    first = {OneCycleConfig: 1 / 25, SlantedTriangularConfig: 1 / 32}.get(model, 1.0)
    if warmup["name"] == "flat":
        assert found[:100] == pytest.approx([0.1 * first] * 100, abs=TOLERANCE)
    else:
        start = warmup.get("start", 1 / 101)
        expected = [first * (start + (1 - start) * step / 100) for step in range(100)]
        assert found[:100] == pytest.approx(expected, abs=TOLERANCE)
    assert found[100] == pytest.approx(first, abs=TOLERANCE)
    if model not in (
        InverseSqrtConfig,
        PlateauConfig,
    ):  # these look at the warmup's length, and at absolute steps
        assert found[100:] == factors(plain, STEPS - 100)


@pytest.mark.parametrize("num_warmup", [1, 5, 100])
def test_warmups_are_torchs(num_warmup: int) -> None:
    def after(optimizer, first):
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - num_warmup)
        return lr_scheduler.SequentialLR(optimizer, [first(optimizer), cosine], milestones=[num_warmup])

    for warmup, first in (
        (
            {"name": "gradual", "start": 0.25},
            lambda o: lr_scheduler.LinearLR(o, 0.25, total_iters=num_warmup),
        ),
        (
            {"name": "gradual"},
            lambda o: lr_scheduler.LinearLR(o, 1 / (num_warmup + 1), total_iters=num_warmup),
        ),
        ({"name": "flat", "level": 0.1}, lambda o: lr_scheduler.ConstantLR(o, 0.1, total_iters=num_warmup)),
    ):
        own = factors(schedule(CosineConfig, warmup_steps=num_warmup, warmup=warmup))
        assert distance(own, torch_factors(lambda o, first=first: after(o, first))) < TOLERANCE


@pytest.mark.parametrize(("num_warmup", "max_steps"), [(0, 40), (5, 40), (100, 1500), (30, 300), (50, 20)])
def test_numbers_of_earlier_recipes_stay_bit_for_bit(num_warmup: int, max_steps: int) -> None:
    linear = schedule(LinearConfig, warmup_steps=num_warmup)
    for step in range(max_steps):
        expected = (
            (step + 1) / (num_warmup + 1)
            if step < num_warmup
            else max(0.0, (max_steps - step) / max(1, max_steps - num_warmup))
        )
        assert linear.factor(step, max_steps) == expected
        assert schedule(ConstantConfig).factor(step, max_steps) == 1.0
        assert schedule(StepsConfig, num_decays=3).factor(step, max_steps) == 0.5 ** (step * 4 // max_steps)


def test_what_cannot_be_followed_is_told() -> None:
    with pytest.raises(UserError, match=r"validate_every is 0.*give validate_every"):
        recipe(schedule={"name": "plateau", **KINDS[PlateauConfig]}, validate_every=0)
    with pytest.raises(UserError, match="warmup_steps 5 and decay_steps 80 are more than max_steps 40"):
        recipe(schedule={"name": "warmup_stable_decay", **KINDS[WarmupStableDecayConfig], "warmup_steps": 5})
    with pytest.raises(UserError, match="milestones must rise"):
        recipe(schedule={"name": "multi_step", "milestones": [3, 2], "gamma": 0.1})
    with pytest.raises(UserError, match=r"give less than 0\.5"):
        recipe(
            schedule={"name": "one_cycle", **KINDS[OneCycleConfig], "three_phase": True, "rise_share": 0.5}
        )
