"""What holds for every optimizer: groups with peaks of their own, scaling rules, and a state that is saved whole."""

from pathlib import Path
from typing import get_args

import pytest
import torch
import yaml

from seedbed.config import UserError
from seedbed.training import checkpoint
from seedbed.training.optim import (
    AdamWConfig,
    LayerDecay,
    Optimizer,
    place_step_counts,
    set_learning_rates,
)
from tests.training.optim.kinds import KINDS
from tests.training.optim.trajectories import config, give, module

CONF = Path(__file__).parents[3] / "conf" / "optimizer"


def test_every_kind_is_tried_here() -> None:
    kinds = [get_args(model.model_fields["name"].annotation)[0] for model in get_args(get_args(Optimizer)[0])]
    assert sorted(kinds) == sorted(KINDS)


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_files_in_conf_are_what_they_are_called(path: Path) -> None:
    read = config(**yaml.safe_load(path.read_text(encoding="utf-8")))
    assert read.name == path.stem
    read.build(module())


@pytest.mark.parametrize("name", KINDS)
def test_no_decay_on_biases_and_norms(name: str) -> None:
    built = module()
    settings = KINDS[name] | {"weight_decay": 0.25}
    if name == "muon":
        settings["others"] = {"learning_rate": 0.01, "weight_decay": 0.25}
    groups = config(name, **settings).build(built).param_groups
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert len(decays) == len(list(built.parameters()))
    for key, parameter in built.named_parameters():
        matrix = key in ("embeddings.weight", "first.weight", "second.weight", "head.weight")
        assert decays[id(parameter)] == (0.25 if matrix else 0.0), key


def test_frozen_parameters_are_left_out() -> None:
    built = module()
    built["first"].requires_grad_(False)
    groups = AdamWConfig(name="adamw", learning_rate=0.1).build(built).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(built.parameters())) - 2


def test_the_schedules_factor_is_of_each_groups_own_peak() -> None:
    optimizer = config("muon", **KINDS["muon"]).build(module())
    set_learning_rates(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.01, 0.005}
    set_learning_rates(optimizer, 1.0)
    assert {group["lr"] for group in optimizer.param_groups} == {0.02, 0.01}


def test_layer_decay_counts_from_the_head_down() -> None:
    """12 layers: embeddings 0, layers 1 to 12, head 13."""
    plain = LayerDecay(rate=0.8)
    assert [plain.scale(depth, top=13) for depth in (13, 12, 11, 1, 0)] == [1, 0.8, 0.8**2, 0.8**12, 0.8**13]


def test_layer_decay_as_the_official_code_has_it() -> None:
    """google-research/electra, model/optimization.py: rate^(n + 2 - depth), where the head's depth is n + 2."""
    official = LayerDecay(rate=0.8, as_official_code=True)
    num_layers = 12
    depths = {0: 0} | {layer + 1: layer + 1 for layer in range(num_layers)} | {num_layers + 1: num_layers + 2}
    for ours, theirs in depths.items():
        assert official.scale(ours, top=num_layers + 1) == 0.8 ** (num_layers + 2 - theirs)
    assert official.scale(num_layers, top=num_layers + 1) == 0.8**2


def test_each_layer_learns_at_its_own_rate() -> None:
    depths = {name: {"embeddings": 0, "first": 1, "second": 2, "norm": 2, "head": 3}[name.split(".")[0]]
              for name, _ in module().named_parameters()}  # fmt: skip
    settings = {"learning_rate": 0.4, "layer_decay": {"rate": 0.5}, "weight_decay": 0.1}
    built = module()
    optimizer = config("adamw", **settings).build(built, batch_scale=2.0, depths=depths)
    peaks = {id(p): group["peak"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in built.named_parameters():
        assert peaks[id(parameter)] == pytest.approx(0.8 * 0.5 ** (3 - depths[name])), name
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0] * 3 + [0.1]


def test_layer_decay_without_layers_is_told() -> None:
    with pytest.raises(UserError, match=r"optimizer.layer_decay: it needs one encoder.*remove it"):
        config("adamw", learning_rate=0.1, layer_decay={"rate": 0.8}).build(module())


def test_the_linear_scaling_rule() -> None:
    """Goyal et al. 2017, section 2.1: 0.1 for 256 is 3.2 for 8192."""
    scaled = config("sgd", learning_rate=0.1, reference_batch_size=256)
    assert 0.1 * scaled.batch_scale(8192) == pytest.approx(3.2)
    assert scaled.batch_scale(64) == 0.25
    assert config("sgd", learning_rate=0.1).batch_scale(8192) == 1.0


def test_both_rates_of_muon_are_scaled() -> None:
    groups = config("muon", **KINDS["muon"]).build(module(), batch_scale=4.0).param_groups
    assert {group["peak"] for group in groups} == {0.08, 0.04}


@pytest.mark.parametrize("name", KINDS)
def test_a_checkpoint_holds_all_that_an_optimizer_knows(name: str, tmp_path: Path) -> None:
    """Ten steps, saved, restored into new objects, ten more: the bits of twenty in a row, in fp32 as in training."""
    whole, cut = module().float(), module().float()
    optimizer = config(name, **KINDS[name]).build(whole)
    for step in range(10):
        give(whole, step)
        set_learning_rates(optimizer, (step + 1) / 20)
        optimizer.step()
    checkpoint.save(tmp_path, whole, optimizer, checkpoint.Progress(step=10))
    resumed = config(name, **KINDS[name]).build(cut)
    saved = checkpoint.find(tmp_path)
    assert saved and saved.progress.step == 10
    saved.restore(cut, resumed)
    assert resumed.state_dict()["state"].keys() == optimizer.state_dict()["state"].keys()
    for step in range(10, 20):
        for network, of_it in ((whole, optimizer), (cut, resumed)):
            give(network, step)
            set_learning_rates(of_it, (step + 1) / 20)
            of_it.step()
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.equal(one, other)


def test_step_counts_of_fused_optimizers_follow_their_parameters() -> None:
    """Lightning moves the other state along; `meta` stands for a device."""
    for name, moves in (("adamw", True), ("adagrad", True), ("rmsprop", False), ("lamb", False)):
        moved = module().to("meta")
        optimizer = config(name, **KINDS[name]).build(moved)
        for parameter in moved.parameters():
            optimizer.state[parameter]["step"] = torch.ones(())
        place_step_counts(optimizer)
        devices = {optimizer.state[p]["step"].device.type for p in moved.parameters()}
        assert devices == {"meta" if moves else "cpu"}, name
