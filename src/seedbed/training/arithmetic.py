"""How this process computes, as its machine file says: threads, and what multiplies matrices of fp32."""

import torch

from seedbed.config import Machine


def settle_arithmetic(machine: Machine) -> None:
    """Set both for all of torch."""
    torch.set_num_threads(machine.threads)
    torch.set_float32_matmul_precision("medium" if machine.fp32_through_onednn else "highest")
