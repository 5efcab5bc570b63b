"""Mixout: the paper's equation, counted falls, dropout as its special case, and weights that stay in their place."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seedbed.models import Encoder
from seedbed.models.encoder import Family
from seedbed.models.mixout import MixoutConfig, MixoutLinear
from tests.models.families import FAMILIES, rows, shake, small, vocabulary_of

P = 0.7


def moved(*, bias: bool = True, start: float | None = None) -> tuple[MixoutLinear, torch.Tensor]:
    """A map that has been trained away from where it began."""
    torch.manual_seed(0)
    linear = nn.Linear(40, 8, bias=bias).double()
    if start is not None:
        nn.init.constant_(linear.weight, start)
    mixed = MixoutLinear(linear, P)
    with torch.no_grad():
        mixed.weight.add_(torch.randn(8, 40, dtype=torch.float64))
    return mixed, mixed.start_OI.clone()


def test_the_papers_equation() -> None:
    """(mask * W + (1 - mask) * U - p * U) / (1 - p), one mask for each input neuron."""
    mixed, start_OI = moved()
    torch.manual_seed(3)
    found_OI = mixed.mixed()
    torch.manual_seed(3)
    mask_I = (F.dropout(torch.ones(40, dtype=torch.float64), P) > 0).double()
    assert 0 < mask_I.sum() < 40
    expected_OI = (mask_I * mixed.weight + (1 - mask_I) * start_OI - P * start_OI) / (1 - P)
    torch.testing.assert_close(found_OI, expected_OI, rtol=1e-12, atol=1e-12)


def test_as_many_fall_back_as_are_to_and_the_mean_is_the_weight() -> None:
    mixed, start_OI = moved()
    torch.manual_seed(1)
    draws = torch.stack([mixed.mixed().detach() for _ in range(4000)])
    fallen = (draws == start_OI).all(1).double()  # of each draw and input neuron, all outputs together
    assert torch.equal(fallen, (draws == start_OI).any(1).double())
    # 160,000 draws of p: five standard deviations are 0.0057
    assert float(fallen.mean()) == pytest.approx(P, abs=0.0058)
    spread = (mixed.weight - start_OI).abs() * (P / (1 - P) / 4000) ** 0.5
    assert bool(((draws.mean(0) - mixed.weight).abs() <= 5.5 * spread).all())


def test_towards_zero_it_is_dropout_of_the_input() -> None:
    mixed, _ = moved(start=0.0)
    values = torch.randn(5, 40, dtype=torch.float64)
    torch.manual_seed(2)
    found = mixed(values)
    torch.manual_seed(2)
    kept_I = F.dropout(torch.ones(40, dtype=torch.float64), P)
    torch.testing.assert_close(found, F.linear(values * kept_I, mixed.weight, mixed.bias))


def test_weights_that_have_not_moved_are_themselves_and_eval_mixes_nothing() -> None:
    linear = nn.Linear(40, 8)
    values = torch.randn(5, 40)
    before = linear(values)
    mixed = MixoutLinear(linear, P)
    assert torch.equal(mixed(values), before) and mixed.weight is linear.weight
    with torch.no_grad():
        mixed.weight.add_(1)
    state = torch.get_rng_state()
    assert torch.equal(mixed.eval()(values), linear(values))
    assert torch.equal(torch.get_rng_state(), state), "scoring draws nothing"


def test_the_same_seed_the_same_mask() -> None:
    mixed, _ = moved()
    draws = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        draws.append(mixed.mixed())
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_keeps_its_names_and_its_numbers(family: Family) -> None:
    encoder = small(family).build(vocabulary_of(family))
    shake(encoder)
    batch = rows(family, padded=True)
    names = [name for name, _ in encoder.named_parameters()]
    state, before = list(encoder.state_dict()), encoder(**_named(batch))
    MixoutConfig(name="mixout", probability=P).apply(encoder)
    assert [name for name, _ in encoder.named_parameters()] == names and list(encoder.state_dict()) == state
    assert torch.equal(encoder(**_named(batch)), before)
    assert not any(type(part) is nn.Linear for part in encoder.modules())
    _move(encoder)
    torch.manual_seed(0)
    assert not torch.equal(encoder.train()(**_named(batch)), encoder.eval()(**_named(batch)))


def _named(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"input_ids_BL": batch["input_ids"], "attention_mask_BL": batch["attention_mask"]}


def _move(encoder: Encoder) -> None:
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.01)
