"""Members computed at once: forecasts, components and gradients of each network alone."""

from typing import Any

import pytest
import torch

from seedbed.models.nbeats import NBEATS, NBEATSConfig
from seedbed.models.nbeats_ensemble import NBEATSEnsemble

STACKS: dict[str, list[dict[str, Any]]] = {
    "generic": [{"name": "generic", "blocks": 2, "width": 16, "theta_size": 5}] * 2,
    "interpretable": [
        {"name": "trend", "blocks": 3, "width": 16, "degree": 2},
        {"name": "seasonality", "blocks": 3, "width": 16},
    ],
}
LOOKBACKS, HORIZON = (12, 30, 18), 6


def networks(kind: str, lookbacks: tuple[int, ...] = LOOKBACKS) -> list[NBEATS]:
    config = NBEATSConfig.parse({"name": "nbeats", "stacks": STACKS[kind]}, "model")
    return [
        config.build(lookback=lookback, horizon=HORIZON, seed=seed).double()
        for seed, lookback in enumerate(lookbacks)
    ]


def windows() -> tuple[torch.Tensor, torch.Tensor]:
    """Each member's own, some shorter than any lookback."""
    generator = torch.Generator().manual_seed(0)
    insample_MBT = torch.randn(len(LOOKBACKS), 7, max(LOOKBACKS), generator=generator).double()
    mask_BT = (torch.arange(max(LOOKBACKS))[None, :] >= 4 * torch.arange(7)[:, None]).double()
    return insample_MBT * mask_BT, mask_BT.expand_as(insample_MBT)


@pytest.mark.parametrize("kind", STACKS)
def test_members_compute_what_they_compute_alone(kind: str) -> None:
    alone = networks(kind)
    ensemble = NBEATSEnsemble(networks(kind))
    assert len(ensemble) == len(LOOKBACKS)
    insample_MBT, mask_MBT = windows()
    shares_SMBH = ensemble.components(insample_MBT, mask_MBT)
    shares_SMBH.sum(0).square().sum().backward()
    for index, network in enumerate(alone):
        own = (tensor[index, :, -network.lookback :] for tensor in (insample_MBT, mask_MBT))
        expected_SBH = network.components(*own)
        assert (shares_SMBH[:, index] - expected_SBH).abs().max() < 1e-9
        expected_SBH.sum(0).square().sum().backward()
        gradients = {name: p.grad for name, p in network.named_parameters()}
        for name, parameter in ensemble.named_parameters():
            expected, found = gradients[name], parameter.grad
            assert expected is not None and found is not None
            found = found.unflatten(0, (len(alone), -1))[index].squeeze(0)
            if expected.ndim == 2:
                inputs, outputs = expected.T.shape
                kept = found[-inputs:, -outputs:].T
            else:
                kept = found[-len(expected) :]
            assert found.count_nonzero() == kept.count_nonzero(), "weights before a short window learn"
            assert (kept - expected).abs().max() < 1e-9, name


def test_what_stands_before_a_lookback_does_not_matter() -> None:
    ensemble = NBEATSEnsemble(networks("generic"))
    insample_MBT, mask_MBT = windows()
    garbage_MBT = insample_MBT.clone()
    garbage_MBT[0, :, :18] = 1e3
    assert torch.equal(ensemble(garbage_MBT, mask_MBT), ensemble(insample_MBT, mask_MBT))


def test_biases_are_spared_by_weight_decay_and_fixed_bases_not_saved() -> None:
    state = NBEATSEnsemble(networks("interpretable")).state_dict()
    assert {name.rsplit(".", 1)[1]: tensor.ndim for name, tensor in state.items()} == {"weight": 3, "bias": 1}


def test_autocast_leaves_the_basis_and_the_residual_as_they_are() -> None:
    """Only the forecast's coefficients are rounded, not the forecast."""
    ensemble = NBEATSEnsemble(networks("generic")).float()
    insample_MBT, mask_MBT = (tensor.float() for tensor in windows())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = ensemble(insample_MBT, mask_MBT)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, rounded.bfloat16().float())
    exact = ensemble(insample_MBT, mask_MBT)
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.02 * exact.abs().max().item())
