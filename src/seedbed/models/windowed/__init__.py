"""Networks that continue a window, to hold N-BEATS against; `WindowNetwork` is the catalogue.

Each is built by `build(lookback=..., horizon=..., seed=...)` and takes a window (B, T) and its mask (B, T),
1 where a point is known, to a forecast (B, H).
"""

from typing import Annotated

from pydantic import Field

from seedbed.models.windowed.mlp import MLPConfig
from seedbed.models.windowed.recurrent import GRUConfig, LSTMConfig, RNNConfig
from seedbed.models.windowed.tcn import TCNConfig

WindowNetwork = Annotated[
    MLPConfig | RNNConfig | LSTMConfig | GRUConfig | TCNConfig, Field(discriminator="name")
]

__all__ = ["GRUConfig", "LSTMConfig", "MLPConfig", "RNNConfig", "TCNConfig", "WindowNetwork"]
