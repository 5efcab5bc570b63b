"""Weights, gradients and moments cut over processes: fully sharded data parallelism (Rajbhandari et al. 2020,
ZeRO stage 3, arXiv 1910.02054; Zhao et al. 2023, arXiv 2304.11277), by torch's `fully_shard`.

Each process holds its rows of every tensor, and fetches a block's whole weights for the time it computes with
them. They travel in fp32 and are cast where they are used, as on one device: no digit depends on the machine
file but by the order of sums.

What torch needs for this takes half a second to import, so it is imported where something is cut.
"""

import sys
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seedbed.learner import Learner, Repeated

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def shard(learner: Learner, mesh: "DeviceMesh") -> None:
    """Cut `learner` over `mesh` in place: each of its blocks apart, and what is left as one."""
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    for part in learner.modules():
        if isinstance(part, Repeated):
            fully_shard(part, mesh=mesh)
    fully_shard(learner, mesh=mesh)
    for method in ("training_loss", "score"):
        register_fsdp_forward_method(learner, method)


def is_sharded(module: nn.Module) -> bool:
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return fsdp is not None and isinstance(module, fsdp.FSDPModule)


def release(module: nn.Module) -> None:
    """Give back the whole weights that a forward pass without a backward pass has left behind."""
    for part in module.modules():
        if is_sharded(part):
            part.reshard()  # type: ignore[operator]


def gather_weights(sharded: nn.Module, *, into: nn.Module) -> None:
    """Copy the whole weights into an unsharded twin, in every process; one tensor at a time is whole."""
    release(sharded)
    targets = into.state_dict()
    with torch.no_grad():
        for name, value in sharded.state_dict().items():
            targets[name].copy_(whole(value))


def whole(value: Tensor) -> Tensor:
    """All rows of a tensor that may be sharded; every process must call."""
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value
