"""Each warmup's own factors."""

import pytest

from seedbed.training.schedules.warmup import FlatWarmupConfig, GradualWarmupConfig


def test_even_strides_never_stand_at_zero() -> None:
    warmup = GradualWarmupConfig(name="gradual")
    assert [warmup.factor(step, 4) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_a_start_is_the_first_factor() -> None:
    warmup = GradualWarmupConfig(name="gradual", start=0.5)
    assert [warmup.factor(step, 4) for step in range(5)] == [0.5, 0.625, 0.75, 0.875, 1.0]


def test_flat_stays() -> None:
    warmup = FlatWarmupConfig(name="flat", level=0.1)
    assert {warmup.factor(step, 4) for step in range(4)} == {0.1}
