"""An LSTM whose output is projected down before it is read again, with clipped cells and projections.

Sak et al. 2014 (arXiv 1402.1128), section 2, without peepholes; clipped as ELMo (Peters et al. 2018, arXiv
1802.05365; 3.0 in its released options). Torch's own LSTM projects too but cannot clip. Shapes: B rows,
L positions, D size of the input, P projection size, H cell size; G = 4 H, the gates in torch's order (input,
forget, cell, output).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.learner import Repeated


class ProjectedLSTM(Repeated):
    """One layer in one direction; a clip of None clips nothing."""

    def __init__(
        self,
        input_size: int,
        *,
        cell_size: int,
        projection_size: int,
        cell_clip: float | None = None,
        projection_clip: float | None = None,
    ) -> None:
        super().__init__()
        self.cell_size, self.projection_size = cell_size, projection_size
        self.cell_clip, self.projection_clip = cell_clip, projection_clip
        self.gates = nn.Linear(input_size, 4 * cell_size)
        self.recurrence = nn.Linear(projection_size, 4 * cell_size, bias=False)
        self.projection = nn.Linear(cell_size, projection_size, bias=False)

    def forward(self, inputs_BLD: Tensor) -> Tensor:
        """outputs_BLP, from a state of zeros; the cell is kept in at least fp32."""
        read_LBG = self.gates(inputs_BLD.transpose(0, 1))
        exact = torch.promote_types(read_LBG.dtype, torch.float32)
        cell_BH = read_LBG.new_zeros((read_LBG.shape[1], self.cell_size), dtype=exact)
        output_BP = read_LBG.new_zeros((read_LBG.shape[1], self.projection_size))
        outputs = []
        for read_BG in read_LBG.unbind(0):
            gates_BG = (read_BG + F.linear(output_BP, self.recurrence.weight)).to(exact)
            input_BH, forget_BH, new_BH, output_BH = gates_BG.chunk(4, -1)
            cell_BH = forget_BH.sigmoid() * cell_BH + input_BH.sigmoid() * new_BH.tanh()
            cell_BH = clip(cell_BH, self.cell_clip)
            output_BP = clip(self.projection(output_BH.sigmoid() * cell_BH.tanh()), self.projection_clip)
            outputs.append(output_BP)
        return torch.stack(outputs, 1)

    def initialise(self, generator: torch.Generator) -> None:
        """Glorot and Bengio 2010, the kernel of input and recurrence as one; the forget gate begins at 1."""
        nn.init.zeros_(self.gates.bias)
        with torch.no_grad():
            self.gates.bias[self.cell_size : 2 * self.cell_size] = 1.0
        limit = math.sqrt(6 / (self.gates.in_features + self.projection_size + 4 * self.cell_size))
        nn.init.uniform_(self.gates.weight, -limit, limit, generator=generator)
        nn.init.uniform_(self.recurrence.weight, -limit, limit, generator=generator)
        nn.init.xavier_uniform_(self.projection.weight, generator=generator)


def clip(values: Tensor, most: float | None) -> Tensor:
    return values if most is None else values.clamp(-most, most)
