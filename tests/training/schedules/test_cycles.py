"""Against torch's curves."""

import pytest
from torch.optim import lr_scheduler

from seedbed.training.schedules import CosineRestartsConfig, OneCycleConfig
from tests.training.schedules.curves import STEPS, TOLERANCE, distance, factors, schedule, torch_factors


@pytest.mark.parametrize(("cycle_steps", "growth"), [(1, 1), (50, 1), (10, 2), (7, 3), (1000, 2)])
@pytest.mark.parametrize("min_factor", [0.0, 0.1])
def test_cosine_restarts_are_torchs(cycle_steps: int, growth: int, min_factor: float) -> None:
    own = factors(
        schedule(CosineRestartsConfig, cycle_steps=cycle_steps, growth=growth, min_factor=min_factor)
    )
    reference = torch_factors(
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, cycle_steps, growth, eta_min=min_factor)
    )
    assert distance(own, reference) < TOLERANCE


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize(("anneal", "strategy"), [("cosine", "cos"), ("linear", "linear")])
@pytest.mark.parametrize(("rise", "steps"), [(0.3, STEPS), (0.45, 333), (0.1, 57)])
def test_one_cycle_is_torchs(three_phase: bool, anneal: str, strategy: str, rise: float, steps: int) -> None:
    own = schedule(
        OneCycleConfig, rise_share=rise, div_factor=25.0, final_div_factor=1e4, anneal=anneal, three_phase=three_phase
    )  # fmt: skip
    reference = torch_factors(
        lambda o: lr_scheduler.OneCycleLR(
            o, 1.0, total_steps=steps, pct_start=rise, anneal_strategy=strategy, cycle_momentum=False,
            div_factor=25.0, final_div_factor=1e4, three_phase=three_phase,
        ),
        steps,
    )  # fmt: skip
    assert distance(factors(own, steps), reference) < TOLERANCE


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_cycle_of_a_few_steps_stays_within_its_bounds(steps: int) -> None:
    own = schedule(
        OneCycleConfig,
        rise_share=0.3,
        div_factor=25.0,
        final_div_factor=1e4,
        anneal="cosine",
        three_phase=True,
    )
    assert all(0 < factor <= 1 for factor in factors(own, steps))
