"""Against torch's and Hugging Face's curves."""

import math

import pytest
import transformers
from torch.optim import lr_scheduler

from seedbed.training.schedules import (
    ConstantConfig,
    CosineConfig,
    ExponentialConfig,
    InverseSqrtConfig,
    LinearConfig,
    PolynomialConfig,
)
from tests.training.schedules.curves import STEPS, TOLERANCE, distance, factors, schedule, torch_factors

FROM_ZERO = {"name": "gradual", "start": 0.0}


def test_linear_is_torchs() -> None:
    for end in (0.0, 0.2):
        own = factors(schedule(LinearConfig, min_factor=end))
        reference = torch_factors(lambda o, end=end: lr_scheduler.LinearLR(o, 1.0, end, total_iters=STEPS))
        assert distance(own, reference) < TOLERANCE


@pytest.mark.parametrize("power", [0.5, 0.9, 1.0, 3.0])
def test_polynomial_is_torchs(power: float) -> None:
    own = factors(schedule(PolynomialConfig, power=power))
    reference = torch_factors(lambda o: lr_scheduler.PolynomialLR(o, total_iters=STEPS, power=power))
    assert distance(own, reference) < TOLERANCE


@pytest.mark.parametrize("min_factor", [0.0, 0.1])
def test_cosine_is_torchs(min_factor: float) -> None:
    own = factors(schedule(CosineConfig, min_factor=min_factor))
    reference = torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=min_factor))
    assert distance(own, reference) < TOLERANCE


@pytest.mark.parametrize("gamma", [0.9, 0.999])
def test_exponential_is_torchs(gamma: float) -> None:
    own = factors(schedule(ExponentialConfig, gamma=gamma))
    assert distance(own, torch_factors(lambda o: lr_scheduler.ExponentialLR(o, gamma))) < TOLERANCE


def test_constant_is_torchs() -> None:
    own = factors(schedule(ConstantConfig))
    assert own == torch_factors(lambda o: lr_scheduler.ConstantLR(o, 1.0))


def test_with_a_warmup_from_zero_they_are_hugging_faces() -> None:
    for own, reference in (
        (
            schedule(LinearConfig, warmup_steps=50, warmup=FROM_ZERO),
            lambda o: transformers.get_linear_schedule_with_warmup(o, 50, STEPS),
        ),
        (
            schedule(CosineConfig, warmup_steps=50, warmup=FROM_ZERO),
            lambda o: transformers.get_cosine_schedule_with_warmup(o, 50, STEPS),
        ),
        (
            schedule(PolynomialConfig, warmup_steps=50, warmup=FROM_ZERO, power=2.0, min_factor=0.01),
            lambda o: transformers.get_polynomial_decay_schedule_with_warmup(
                o, 50, STEPS, lr_end=0.01, power=2.0
            ),
        ),
        (
            schedule(InverseSqrtConfig, warmup_steps=50, warmup=FROM_ZERO, timescale=50),
            lambda o: transformers.get_inverse_sqrt_schedule(o, 50),
        ),
    ):
        assert distance(factors(own), torch_factors(reference)) < TOLERANCE


def test_inverse_sqrt_is_the_formula_of_the_paper() -> None:
    """Vaswani et al. 2017, equation 3, whose steps count from 1; its peak is the rate at step 4000."""
    own = schedule(InverseSqrtConfig, warmup_steps=3999)

    def paper(number: int) -> float:
        return 512**-0.5 * min(number**-0.5, number * 4000**-1.5)

    for number in (1, 2, 1000, 3999, 4000, 4001, 10_000, 100_000):
        assert own.factor(number - 1, 100_000) == pytest.approx(paper(number) / paper(4000), abs=TOLERANCE)


def test_a_decay_may_end_before_the_run() -> None:
    """As GPT-3 trained: down to a tenth, and on at that."""
    own = factors(schedule(CosineConfig, warmup_steps=10, decay_steps=90, min_factor=0.1), 200)
    assert own[:100] == factors(schedule(CosineConfig, warmup_steps=10, min_factor=0.1), 100)
    assert own[100:] == [0.1] * 100


def test_behind_its_end_a_schedule_stays_at_the_end() -> None:
    for model in (LinearConfig, CosineConfig):
        assert schedule(model, min_factor=0.25).factor(2 * STEPS, STEPS) == 0.25
    assert math.isclose(schedule(PolynomialConfig, power=2.0).factor(2 * STEPS, STEPS), 0.0)
