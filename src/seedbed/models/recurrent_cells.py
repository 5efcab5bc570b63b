"""One step of an RNN, an LSTM and a GRU, in the parametrisation of torch.nn, and what they carry on.

RNN: Elman (1990). LSTM: Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000). GRU:
Cho et al. (2014, arXiv 1406.1078), the reset gate after the product as in cuDNN and torch.
Shapes: B rows, L positions, I input size, H hidden size, G gates.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn


class Cell(nn.Module, ABC):
    """Weights and biases of `gates` gates for the input and for the state before."""

    gates: ClassVar[int]
    states: ClassVar[int] = 1
    """Tensors (B, H) carried on; the first is what the next layer sees."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Uniform within 1 / sqrt(H), as torch.nn fills them."""
        super().__init__()
        self.hidden_size = hidden_size
        rows = self.gates * hidden_size
        bound = hidden_size**-0.5
        self.input_weight = nn.Parameter(torch.empty(rows, input_size).uniform_(-bound, bound))
        self.state_weight = nn.Parameter(torch.empty(rows, hidden_size).uniform_(-bound, bound))
        self.input_bias = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))
        self.state_bias = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))

    def prepare(self, inputs: Tensor) -> Tensor:
        """The inputs' part of the gates, of all positions at once: (..., I) to (..., G H)."""
        return nn.functional.linear(inputs, self.input_weight, self.input_bias)

    @abstractmethod
    def step(self, prepared_BG: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The states after one position."""

    def of_state(self, state_BH: Tensor) -> Tensor:
        return nn.functional.linear(state_BH, self.state_weight, self.state_bias)


class RNNCell(Cell):
    gates = 1

    def step(self, prepared_BG: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return ((prepared_BG + self.of_state(states[0])).tanh(),)


class LSTMCell(Cell):
    gates, states = 4, 2

    def step(self, prepared_BG: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        input_BH, forget_BH, new_BH, output_BH = (prepared_BG + self.of_state(states[0])).chunk(4, 1)
        memory_BH = forget_BH.sigmoid() * states[1] + input_BH.sigmoid() * new_BH.tanh()
        return output_BH.sigmoid() * memory_BH.tanh(), memory_BH


class GRUCell(Cell):
    gates = 3

    def step(self, prepared_BG: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        reset_BH, update_BH, new_BH = prepared_BG.chunk(3, 1)
        of_reset_BH, of_update_BH, of_new_BH = self.of_state(states[0]).chunk(3, 1)
        update_BH = (update_BH + of_update_BH).sigmoid()
        new_BH = (new_BH + (reset_BH + of_reset_BH).sigmoid() * of_new_BH).tanh()
        return (new_BH + update_BH * (states[0] - new_BH),)
