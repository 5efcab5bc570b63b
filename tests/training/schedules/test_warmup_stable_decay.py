"""Against Hugging Face's curves; torch has none."""

import pytest
import transformers

from seedbed.training.schedules import WarmupStableDecayConfig
from tests.training.schedules.curves import STEPS, TOLERANCE, distance, factors, schedule, torch_factors


@pytest.mark.parametrize(
    ("shape", "decay_type"), [("linear", "linear"), ("cosine", "cosine"), ("one_minus_sqrt", "1-sqrt")]
)
@pytest.mark.parametrize("min_factor", [0.0, 0.1])
def test_each_shape_is_hugging_faces(shape: str, decay_type: str, min_factor: float) -> None:
    own = schedule(
        WarmupStableDecayConfig, decay_steps=80, shape=shape, min_factor=min_factor,
        warmup_steps=40, warmup={"name": "gradual", "start": min_factor},
    )  # fmt: skip
    reference = torch_factors(
        lambda o: transformers.get_wsd_schedule(
            o, 40, 80, num_training_steps=STEPS, decay_type=decay_type, min_lr_ratio=min_factor
        )
    )
    assert distance(factors(own), reference) < TOLERANCE


def test_a_longer_run_has_the_same_steps_up_to_the_decay() -> None:
    own = schedule(WarmupStableDecayConfig, decay_steps=80, shape="linear", warmup_steps=40)
    assert factors(own)[: STEPS - 80] == factors(own, 2 * STEPS)[: STEPS - 80]
