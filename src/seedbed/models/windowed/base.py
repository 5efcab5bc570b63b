"""What the configurations of networks on windows share: building from a seed."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from seedbed.config import Strict


class WindowNetworkBase(Strict, ABC):
    """A network whose sizes are its own, but for lookback and horizon."""

    def build(self, *, lookback: int, horizon: int, seed: int) -> nn.Module:
        """A network whose first weights are a function of `seed` alone; the global generator stays put."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.network(lookback=lookback, horizon=horizon)

    @abstractmethod
    def network(self, *, lookback: int, horizon: int) -> nn.Module:
        """The network, its weights drawn from the global generator."""
