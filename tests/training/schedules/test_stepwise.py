"""Against torch's curves."""

from torch.optim import lr_scheduler

from seedbed.training.schedules import MultiStepConfig, StepConfig, StepsConfig
from tests.training.schedules.curves import TOLERANCE, distance, factors, schedule, torch_factors


def test_step_is_torchs() -> None:
    for size, gamma in ((1, 0.99), (30, 0.1), (37, 0.5), (1000, 0.1)):
        own = factors(schedule(StepConfig, step_size=size, gamma=gamma))
        reference = torch_factors(lambda o, s=size, g=gamma: lr_scheduler.StepLR(o, s, g))
        assert distance(own, reference) < TOLERANCE


def test_multi_step_is_torchs() -> None:
    for milestones in ([1], [300, 310, 399], [50, 51, 52, 1000]):
        own = factors(schedule(MultiStepConfig, milestones=milestones, gamma=0.3))
        reference = torch_factors(lambda o, m=milestones: lr_scheduler.MultiStepLR(o, m, 0.3))
        assert distance(own, reference) < TOLERANCE


def test_steps_halve_at_equal_distances() -> None:
    own = schedule(StepsConfig, num_decays=3)
    assert [own.factor(step, 8) for step in range(8)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    reference = torch_factors(lambda o: lr_scheduler.StepLR(o, 100, 0.5))
    assert factors(own) == reference
