"""ELMo as a task reads it: gamma times the mean of the layers, weighted by a softmax of learned numbers.

Peters et al. 2018 (arXiv 1802.05365), section 3.2, equation 1; the penalty of section 5.1. Shapes: K layers,
B rows, L positions, E their size.
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import Strict


class ScalarMixConfig(Strict):
    """How the layers are mixed."""

    layer_norm: bool = Field(
        False, description="bring each position of each layer to mean 0 and variance 1 first"
    )
    l2: float = Field(
        0.0,
        ge=0,
        description="lambda: 1 holds the weights near the plain mean, 0.001 lets them differ (section 5.1)",
    )


class ScalarMix(nn.Module):
    """layers_KBLE -> features_BLE. It begins as the plain mean."""

    def __init__(self, config: ScalarMixConfig, num_layers: int) -> None:
        super().__init__()
        self.config = config
        self.weights = nn.Parameter(torch.zeros(num_layers))
        """Before the softmax."""
        self.scale = nn.Parameter(torch.ones(()))
        """Gamma."""

    def forward(self, layers_KBLE: Tensor) -> Tensor:
        if self.config.layer_norm:
            layers_KBLE = F.layer_norm(layers_KBLE, layers_KBLE.shape[-1:], eps=1e-12)
        shares_K = self.weights.softmax(0).to(layers_KBLE.dtype)
        return self.scale.to(layers_KBLE.dtype) * torch.einsum("k,kble->ble", shares_K, layers_KBLE)

    def penalty(self) -> Tensor:
        """lambda |w|^2 of the numbers before the softmax, as the released code adds it to the loss."""
        return self.config.l2 * self.weights.square().sum()
