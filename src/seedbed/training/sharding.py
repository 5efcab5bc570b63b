"""Weights, gradients and moments cut over processes: fully sharded data parallelism (Rajbhandari et al. 2020,
ZeRO stage 3, arXiv 1910.02054; Zhao et al. 2023, arXiv 2304.11277), by torch's `fully_shard`.

Each process holds its rows of every tensor, and fetches a block's whole weights for the time it computes with
them. They travel in fp32 and are cast where they are used, as on one device: no digit depends on the machine
file but by the order of sums.
"""

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from seedbed.learner import Learner, Repeated


def shard(learner: Learner, mesh: DeviceMesh) -> None:
    """Cut `learner` over `mesh` in place: each of its blocks apart, and what is left as one."""
    for part in learner.modules():
        if isinstance(part, Repeated):
            fully_shard(part, mesh=mesh)
    fully_shard(learner, mesh=mesh)
    for method in ("training_loss", "score"):
        register_fsdp_forward_method(learner, method)


def is_sharded(module: nn.Module) -> bool:
    return isinstance(module, FSDPModule)


def release(module: nn.Module) -> None:
    """Give back the whole weights that a forward pass without a backward pass has left behind."""
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


def gather_weights(sharded: nn.Module, *, into: nn.Module) -> None:
    """Copy the whole weights into an unsharded twin, in every process; one tensor at a time is whole."""
    release(sharded)
    targets = into.state_dict()
    with torch.no_grad():
        for name, value in sharded.state_dict().items():
            targets[name].copy_(whole(value))


def whole(value: Tensor) -> Tensor:
    """All rows of a tensor that may be sharded; every process must call."""
    return value.full_tensor() if isinstance(value, DTensor) else value
