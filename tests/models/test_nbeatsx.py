"""NBEATSx: what its blocks see, members computed together and alone, what is not known has no part."""

from typing import Any

import pytest
import torch

from seedbed.models.exogenous import CausalEncoder, Exogenous, Scaled
from seedbed.models.nbeatsx import NBEATSx, NBEATSxConfig
from seedbed.models.nbeatsx_ensemble import grouped

STACKS: dict[str, list[dict[str, Any]]] = {
    "interpretable": [
        {"name": "trend", "blocks": 2, "width": 16, "degree": 2},
        {"name": "seasonality", "blocks": 2, "width": 16},
        {"name": "exogenous", "blocks": 2, "width": 16},
    ],
    "generic": [
        {"name": "exogenous_context", "blocks": 2, "width": 16, "context_size": 3, "hidden_size": 4},
        {"name": "generic", "blocks": 2, "width": 16, "theta_size": 5},
        {"name": "exogenous_context", "width": 16, "context_size": 3, "hidden_size": 5},
    ],
}
LOOKBACKS, HORIZON, PAST, FUTURE, STATIC = (12, 30, 18), 6, 2, 3, 1


def facts() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sizes = {"past": PAST, "future": FUTURE, "static": STATIC}
    return {kind: torch.rand(3, size, generator=generator) + 0.5 for kind, size in sizes.items()}


def networks(kind: str, scaling: str = "window") -> list[NBEATSx]:
    config = NBEATSxConfig.parse({"name": "nbeatsx", "stacks": STACKS[kind], "scaling": scaling}, "model")
    return [
        config.build(lookback=lookback, horizon=HORIZON, seed=seed, facts=facts()).double()
        for seed, lookback in enumerate(LOOKBACKS)
    ]


def windows(*, rows: int = 7) -> tuple[torch.Tensor, torch.Tensor, Exogenous]:
    """Each member's own, some shorter than any lookback."""
    generator = torch.Generator().manual_seed(0)
    members, longest = len(LOOKBACKS), max(LOOKBACKS)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(members, rows, *shape, generator=generator).double()

    mask = (torch.arange(longest + HORIZON)[None, :] >= 4 * torch.arange(rows)[:, None]).double()
    mask = mask.expand(members, -1, -1)
    given = Exogenous(draw(longest, PAST), draw(longest + HORIZON, FUTURE), draw(STATIC), mask)
    return draw(longest) * mask[..., :longest], mask[..., :longest], given


def of_member(given: Exogenous, index: int, lookback: int) -> Exogenous:
    length = lookback + HORIZON
    return Exogenous(
        given.past[index, :, -lookback:],
        given.future[index, :, -length:],
        given.static[index],
        given.mask[index, :, -length:],
    )


@pytest.mark.parametrize("scaling", ["window", "panel"])
@pytest.mark.parametrize("kind", STACKS)
def test_members_compute_what_they_compute_alone(kind: str, scaling: str) -> None:
    alone = networks(kind, scaling)
    together = grouped(alone)
    insample, mask, given = windows()
    shares = together.components(insample, mask, given)
    shares.sum(0).square().sum().backward()
    parameters = list(together.parameters())
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in parameters)
    for index, network in enumerate(alone):
        lookback = network.lookback
        own = (tensor[index, :, -lookback:] for tensor in (insample, mask))
        expected = network.components(*own, of_member(given, index, lookback))
        assert (shares[:, index] - expected).abs().max() < 1e-9
        expected.sum(0).square().sum().backward()
    # what stands before a short window learns nothing: the sums of the gradients are those of the members
    totals = [sum(float(p.grad.abs().sum()) for p in one.parameters() if p.grad is not None) for one in alone]
    found = sum(float(p.grad.abs().sum()) for p in parameters if p.grad is not None)
    assert found == pytest.approx(sum(totals), rel=1e-9)


@pytest.mark.parametrize("kind", STACKS)
def test_what_the_mask_leaves_out_is_not_seen(kind: str) -> None:
    together = grouped(networks(kind, "panel"))
    insample, mask, given = windows()
    expected = together(insample, mask, given)
    unknown = given.mask == 0
    garbage = Exogenous(
        given.past.masked_fill(unknown[..., : max(LOOKBACKS), None], 1e3),
        given.future.masked_fill(unknown[..., None], 1e3),
        given.static,
        given.mask,
    )
    assert torch.equal(together(insample, mask, garbage), expected)
    changed = given._replace(future=given.future.index_fill(2, torch.tensor(max(LOOKBACKS) + 2), 5.0))
    assert not torch.allclose(together(insample, mask, changed), expected)


def test_an_exogenous_share_is_a_weighted_sum_of_what_is_known_ahead() -> None:
    """Each window's share lies in the span of its own covariates' rows, whatever the weights are."""
    [network, *_] = networks("interpretable")
    insample, mask, given = windows(rows=1)
    own = of_member(given, 0, network.lookback)
    own = own._replace(mask=torch.ones_like(own.mask))
    share_H = network.components(insample[0, :, -12:], mask[0, :, -12:], own)[2, 0]
    ahead_HF = own.future[0, -HORIZON:]
    solved = torch.linalg.lstsq(ahead_HF, share_H[:, None]).solution
    assert share_H.abs().max() > 1e-6
    torch.testing.assert_close((ahead_HF @ solved)[:, 0], share_H)


def test_the_context_of_a_point_is_made_of_it_and_those_before() -> None:
    torch.manual_seed(0)
    encoder = CausalEncoder.of(3, hidden_size=4, context_size=2, num_layers=3, kernel_size=3).double()
    values = torch.randn(2, 3, 20).double()
    changed = values.clone()
    changed[..., 12:] += 1
    one, other = (encoder(which, torch.ones(2, 20).double()) for which in (values, changed))
    assert torch.equal(one[..., :12], other[..., :12])
    assert not torch.isclose(one[..., 12:], other[..., 12:]).any()


def test_scaling_is_told_by_hand() -> None:
    given_facts = {
        "past": torch.tensor([[1.0], [2.0], [8.0]]),
        "future": torch.tensor([[0.5], [0.5], [4.0]]),
        "static": torch.tensor([[3.0], [2.0], [9.0]]),
    }
    given = Exogenous(
        torch.tensor([[[2.0], [-4.0]]]),
        torch.tensor([[[0.0], [0.0], [1.0]]]),
        torch.tensor([[5.0]]),
        torch.ones(1, 3),
    )
    of_window = Scaled(given_facts, scaling="window")(given)
    assert of_window.past.flatten().tolist() == [0.5, -1.0]
    assert of_window.future.flatten().tolist() == [0, 0, 0.25], "0 in the lookback: over the largest anywhere"
    of_panel = Scaled(given_facts, scaling="panel")(given)
    assert of_panel.past.flatten().tolist() == [0.5, -2.5]
    assert of_panel.future.flatten().tolist() == [-1, -1, 1]
    assert of_window.static.tolist() == of_panel.static.tolist() == [[1.0]]


def test_the_same_seed_gives_the_same_weights_and_leaves_the_generator() -> None:
    before = torch.get_rng_state()
    first, second = networks("generic"), networks("generic")
    assert torch.equal(torch.get_rng_state(), before)
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_components_are_named_by_their_stacks() -> None:
    config = NBEATSxConfig.parse({"name": "nbeatsx", "stacks": STACKS["generic"]}, "model")
    assert config.component_names() == ("exogenous_context_1", "generic", "exogenous_context_2")


@pytest.mark.parametrize("kind", STACKS)
def test_autocast_leaves_bases_as_they_are(kind: str) -> None:
    """Only coefficients and contexts are rounded, not the forecast."""
    together = grouped(networks(kind)).float()
    insample, mask, given = windows()
    inputs = insample.float(), mask.float(), Exogenous(*(values.float() for values in given))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = together(*inputs)
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, rounded.bfloat16().float())
    exact = together(*inputs)
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.05 * exact.abs().max().item())
