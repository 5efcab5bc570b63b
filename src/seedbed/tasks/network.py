"""The contract of what classifies: a network on a backbone's tokens, built, saved and read."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from torch import nn

from seedbed.config import Strict
from seedbed.tasks.examples import Head


class NetworkConfig(Strict, ABC):
    """Both kinds of network map (input_ids, attention_mask, token_type_ids), each (B, L), to numbers."""

    name: str
    heads: ClassVar[frozenset[Head]]
    """What it can give; a recipe that asks for more is refused where it is composed."""

    @abstractmethod
    def network(self, backbone: Path, head: Head, *, num_outputs: int, seed: int) -> nn.Module:
        """logits_BC of a text or logits_BLC of its tokens; what is not loaded is a function of `seed`."""

    @abstractmethod
    def save(self, folder: Path, network: nn.Module, *, labels: tuple[str, ...] | None) -> None:
        """Write the network; `labels` names its outputs."""

    @abstractmethod
    def load(self, folder: Path, head: Head) -> nn.Module:
        """The network that `save` wrote."""

    def positions(self, network: nn.Module) -> int | None:
        """Most tokens of a text; None where any number will do."""
        del network
        return None
