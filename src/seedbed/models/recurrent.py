"""A recurrent network in both directions over a text, for the text as a whole or for each of its tokens.

Rows are packed: at a position only the rows that reach it are computed (as torch's pack_padded_sequence), so
padding costs nothing and changes nothing.
Shapes: B rows, L positions, E embedding size, H hidden size, C classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seedbed.models.dropout import drop
from seedbed.models.recurrent_cells import Cell, GRUCell, LSTMCell, RNNCell

CELLS: dict[str, type[Cell]] = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}


def unroll(
    cell: Cell,
    inputs_BLI: Tensor,
    lengths_B: Tensor,
    *,
    backwards: bool = False,
    steps_back: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(outputs_BLH, last_BH): zero beyond a row's length; the last is that of the row's own end.

    Backwards a row begins at its own end. Rows must be in falling order of length. `steps_back` cuts the
    gradient every so many positions (Williams and Peng 1990), which changes no output; where it cuts depends
    on the position in the row, not on how far the batch is padded.
    """
    B, L, _ = inputs_BLI.shape
    prepared_BLG = cell.prepare(inputs_BLI)
    # how many rows reach each position: the packed batch sizes, read once
    reach_L: list[int] = (lengths_B.unsqueeze(1) > torch.arange(L, device=lengths_B.device)).sum(0).tolist()
    states = tuple(inputs_BLI.new_zeros(B, cell.hidden_size) for _ in range(cell.states))
    outputs: list[Tensor | None] = [None] * L
    order: Sequence[int] = range(L - 1, -1, -1) if backwards else range(L)
    for position in order:
        rows = reach_L[position]
        if rows == 0:
            outputs[position] = inputs_BLI.new_zeros(B, cell.hidden_size)
            continue
        if steps_back is not None and (position + backwards) % steps_back == 0:
            states = tuple(state.detach() for state in states)
        after = cell.step(prepared_BLG[:rows, position], tuple(state[:rows] for state in states))
        outputs[position] = nn.functional.pad(after[0], (0, 0, 0, B - rows))
        states = tuple(
            torch.cat([new, old[rows:]]) if rows < B else new for new, old in zip(after, states, strict=True)
        )
    return torch.stack([one for one in outputs if one is not None], 1), states[0]


class RecurrentClassifier(nn.Module):
    """Layers of two directions each, joined; a text is the ends of both directions of the last layer."""

    def __init__(
        self,
        *,
        cell: str,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int,
        num_outputs: int,
        dropout: float,
        steps_back: int | None,
        tokens: bool,
    ) -> None:
        super().__init__()
        self.dropout, self.steps_back, self.tokens = dropout, steps_back, tokens
        self.token = nn.Embedding(vocabulary_size, embedding_size)
        sizes = [embedding_size, *[2 * hidden_size] * (num_layers - 1)]
        self.forwards = nn.ModuleList(CELLS[cell](size, hidden_size) for size in sizes)
        self.backwards = nn.ModuleList(CELLS[cell](size, hidden_size) for size in sizes)
        self.out = nn.Linear(2 * hidden_size, num_outputs)

    def forward(self, input_ids_BL: Tensor, attention_mask_BL: Tensor, token_type_ids_BL: Tensor) -> Tensor:
        """logits_BC, or logits_BLC where it was built for tokens."""
        del token_type_ids_BL
        # stable: the same rows in the same order whatever the device
        lengths_B, order_B = attention_mask_BL.sum(1).sort(descending=True, stable=True)
        hidden_BLD = self.token(input_ids_BL[order_B])
        ends_BD = hidden_BLD.new_zeros(len(hidden_BLD), 0)
        for forward, backward in zip(self.forwards, self.backwards, strict=True):
            hidden_BLD = drop(hidden_BLD, self.dropout, self.training)
            sides = [
                unroll(cell, hidden_BLD, lengths_B, backwards=cell is backward, steps_back=self.steps_back)  # type: ignore[arg-type]
                for cell in (forward, backward)
            ]
            hidden_BLD = torch.cat([outputs_BLH for outputs_BLH, _ in sides], 2)
            ends_BD = torch.cat([last_BH for _, last_BH in sides], 1)
        features = drop(hidden_BLD if self.tokens else ends_BD, self.dropout, self.training)
        logits: Tensor = self.out(features)[order_B.argsort()]
        return logits
