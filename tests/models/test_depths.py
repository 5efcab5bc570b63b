"""Depths of parameters, and the learning rates that ELECTRA's two countings make of them."""

import pytest
import torch
from torch import nn

from seedbed.models import build_sequence_classifier, layer_depths
from seedbed.models.encoder import Family
from seedbed.training.optim import AdamWConfig
from tests.models.families import FAMILIES, small, vocabulary_of


@pytest.mark.parametrize("family", FAMILIES)
def test_from_the_embeddings_to_the_head(family: Family) -> None:
    network = build_sequence_classifier(small(family), vocabulary_of(family), num_labels=3)
    wrapped = nn.ModuleDict({"classifier": network})  # as a Learner holds it
    found = layer_depths(wrapped)
    assert list(found) == [name for name, _ in wrapped.named_parameters()]
    by_part: dict[str, set[int]] = {}
    for name, depth in found.items():
        parts = name.removeprefix("classifier.").removeprefix("encoder.").split(".")
        by_part.setdefault(".".join(parts[: 2 if parts[0] == "blocks" else 1]), set()).add(depth)
    expected = {"embeddings": {0}, "blocks.0": {1}, "blocks.1": {2}, "blocks.2": {3}, "head": {4}}
    assert by_part == expected | ({"projection": {0}} if family == "electra" else {})


def test_a_norm_behind_the_last_block_goes_with_it() -> None:
    encoder = small("bert").build(vocabulary_of("bert"))
    encoder.register_module("last_norm", nn.LayerNorm(48))
    found = layer_depths(encoder)
    assert found["last_norm.weight"] == found["blocks.2.attention_in.weight"] == 3


def test_networks_without_one_order_of_layers_have_none() -> None:
    encoders = [small("bert").build(vocabulary_of("bert")) for _ in range(2)]
    assert layer_depths(nn.ModuleList(encoders)) == {} == layer_depths(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("as_official_code", "expected"),
    # three layers at 0.8; the official code, google-research/electra model/optimization.py: n + 2 - depth
    [(False, [0.8**4, 0.8**3, 0.8**2, 0.8, 1.0]), (True, [0.8**5, 0.8**4, 0.8**3, 0.8**2, 1.0])],
)
def test_rates_of_an_electra_classifier(as_official_code: bool, expected: list[float]) -> None:
    network = build_sequence_classifier(small("electra"), vocabulary_of("electra"), num_labels=3)
    decay = {"rate": 0.8, "as_official_code": as_official_code}
    recipe = {"name": "adamw", "learning_rate": 3e-4, "layer_decay": decay}
    optimizer = AdamWConfig.parse(recipe, "x").build(network, depths=layer_depths(network))
    peaks = {id(p): group["peak"] for group in optimizer.param_groups for p in group["params"]}
    names = ["encoder.embeddings.token", "encoder.blocks.0.attention_in", "encoder.blocks.1.feed_forward_out",
             "encoder.blocks.2.attention_norm", "head.out"]  # fmt: skip
    found = [peaks[id(network.get_parameter(f"{name}.weight"))] for name in names]
    assert found == pytest.approx([3e-4 * share for share in expected])
    assert peaks[id(network.get_parameter("encoder.projection.bias"))] == found[0]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(network.parameters()))
    assert torch.optim.AdamW is type(optimizer)
