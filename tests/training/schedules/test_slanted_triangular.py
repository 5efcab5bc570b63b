"""Against the paper's equation, in its own symbols."""

import math

import pytest

from seedbed.training.schedules import SlantedTriangularConfig
from tests.training.schedules.curves import factors, schedule


def equation_3(t: int, T: int, cut_frac: float, ratio: float) -> float:
    cut = math.floor(T * cut_frac)
    p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
    return (1 + p * (ratio - 1)) / ratio


@pytest.mark.parametrize(("steps", "share", "ratio"), [(300, 0.1, 32.0), (200, 0.25, 8.0), (1000, 0.5, 1.0)])
def test_the_papers_equation(steps: int, share: float, ratio: float) -> None:
    own = factors(schedule(SlantedTriangularConfig, cut_share=share, ratio=ratio), steps)
    assert own == pytest.approx([equation_3(t, steps, share, ratio) for t in range(steps)], rel=1e-12)
    assert max(own) == 1.0 and own.index(max(own)) == (steps * share if ratio > 1 else 0)
    assert own[0] == pytest.approx(1 / ratio)


@pytest.mark.parametrize("steps", [1, 2, 5, 9, 105])
def test_lengths_that_do_not_divide_stay_between_first_and_peak(steps: int) -> None:
    own = factors(schedule(SlantedTriangularConfig, cut_share=0.1, ratio=32.0), steps)
    assert all(1 / 32 - 1e-12 <= factor <= 1 for factor in own)
    if steps == 105:
        assert equation_3(104, 105, 0.1, 32.0) < 0, "what the equation itself would give"


def test_a_warmup_leads_to_the_start() -> None:
    own = schedule(SlantedTriangularConfig, cut_share=0.1, ratio=32.0, warmup_steps=10)
    assert 0 < own.factor(9, 310) < own.factor(10, 310) == pytest.approx(1 / 32)
    assert own.factor(40, 310) == 1.0
