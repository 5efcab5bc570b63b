"""Own recurrent cells against torch.nn, on packed rows: outputs, ends and gradients."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seedbed.models.recurrent import CELLS, RecurrentClassifier, unroll
from seedbed.models.recurrent_cells import Cell

THEIRS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LENGTHS = torch.tensor([7, 7, 4, 1])


def pair_of(name: str, dtype: torch.dtype) -> tuple[Cell, Cell, nn.Module]:
    """Our cells of both directions and torch's layer with their weights."""
    torch.manual_seed(1)
    forward, backward = CELLS[name](5, 6).to(dtype), CELLS[name](5, 6).to(dtype)
    theirs = THEIRS[name](5, 6, bidirectional=True, batch_first=True).to(dtype)
    names = {"weight_ih": "input_weight", "weight_hh": "state_weight", "bias_ih": "input_bias"}
    names["bias_hh"] = "state_bias"
    with torch.no_grad():
        for theirs_name, ours in names.items():
            getattr(theirs, f"{theirs_name}_l0").copy_(getattr(forward, ours))
            getattr(theirs, f"{theirs_name}_l0_reverse").copy_(getattr(backward, ours))
    return forward, backward, theirs


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_cells_equal_torchs_on_packed_rows(name: str, dtype: torch.dtype, within: float) -> None:
    forward, backward, theirs = pair_of(name, dtype)
    inputs = torch.randn(4, 7, 5, dtype=dtype)
    packed = pack_padded_sequence(inputs, LENGTHS, batch_first=True)
    wanted_packed, last = theirs(packed)
    wanted, _ = pad_packed_sequence(wanted_packed, batch_first=True)
    last = last[0] if name == "lstm" else last
    ours, first_end = unroll(forward, inputs, LENGTHS)
    back, second_end = unroll(backward, inputs, LENGTHS, backwards=True)
    found = torch.cat([ours, back], 2)
    assert (found - wanted).abs().max() < within
    assert (torch.stack([first_end, second_end]) - last).abs().max() < within
    weights = torch.randn_like(wanted)
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    for ours_gradient, theirs_gradient in (
        (forward.input_weight.grad, theirs.weight_ih_l0.grad),
        (backward.state_weight.grad, theirs.weight_hh_l0_reverse.grad),
        (forward.state_bias.grad, theirs.bias_hh_l0.grad),
    ):
        assert isinstance(ours_gradient, Tensor) and isinstance(theirs_gradient, Tensor)
        assert (ours_gradient - theirs_gradient).abs().max() < 10 * within


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_truncated_gradients_equal_torchs_piece_by_piece(
    name: str, backwards: bool, dtype: torch.dtype, within: float
) -> None:
    """torch's layer reads each row in pieces of three positions, its state cut loose between them."""
    forward, backward, _ = pair_of(name, dtype)
    cell = backward if backwards else forward
    theirs = THEIRS[name](5, 6, batch_first=True).to(dtype)
    ours_names = ("input_weight", "state_weight", "input_bias", "state_bias")
    with torch.no_grad():
        for theirs_one, ours_name in zip(theirs.parameters(), ours_names, strict=True):
            theirs_one.copy_(getattr(cell, ours_name))
    inputs = torch.randn(4, 7, 5, dtype=dtype, requires_grad=True)
    weights = torch.randn(4, 7, 6, dtype=dtype)
    found, last = unroll(cell, inputs, LENGTHS, backwards=backwards, steps_back=3)
    (found * weights).sum().backward()
    found_gradient = inputs.grad
    inputs.grad = None
    for row, length in enumerate(LENGTHS.tolist()):
        state = None
        pieces = [slice(first, min(first + 3, length)) for first in range(0, length, 3)]
        for piece in reversed(pieces) if backwards else pieces:
            given = inputs[row : row + 1, piece]
            outputs, state = theirs(given.flip(1) if backwards else given, state)
            state = tuple(one.detach() for one in state) if name == "lstm" else state.detach()
            outputs = outputs.flip(1) if backwards else outputs
            assert (outputs[0] - found[row, piece]).abs().max() < within
            (outputs[0] * weights[row, piece]).sum().backward()
        end = state[0] if name == "lstm" else state
        assert (end[0, 0] - last[row]).abs().max() < within
    assert found_gradient is not None and inputs.grad is not None
    assert (found_gradient - inputs.grad).abs().max() < 10 * within
    for theirs_one, ours_name in zip(theirs.parameters(), ours_names, strict=True):
        ours_gradient = getattr(cell, ours_name).grad
        assert theirs_one.grad is not None
        assert (ours_gradient - theirs_one.grad).abs().max() < 10 * within


def classifier(*, tokens: bool, steps_back: int | None = None) -> RecurrentClassifier:
    torch.manual_seed(2)
    return RecurrentClassifier(
        cell="gru",
        vocabulary_size=30,
        embedding_size=5,
        hidden_size=6,
        num_layers=2,
        num_outputs=3,
        dropout=0.0,
        steps_back=steps_back,
        tokens=tokens,
    ).double()


@pytest.mark.parametrize("tokens", [False, True])
def test_neither_padding_nor_neighbours_change_a_row(tokens: bool) -> None:
    model = classifier(tokens=tokens)
    ids = torch.randint(1, 30, (4, 9))
    lengths = torch.tensor([3, 9, 1, 6])
    mask = (torch.arange(9) < lengths.unsqueeze(1)).long()
    together = model(ids, mask, torch.zeros_like(ids))
    for row, length in enumerate(lengths.tolist()):
        alone = model(ids[row : row + 1, :length], mask[row : row + 1, :length], ids[:1, :length])
        found = together[row, :length] if tokens else together[row]
        assert torch.allclose(alone[0], found, atol=1e-12, rtol=0)


def test_a_cut_gradient_changes_no_output_and_reaches_no_further() -> None:
    ids, mask = torch.randint(1, 30, (2, 8)), torch.ones(2, 8, dtype=torch.long)
    cut, whole = classifier(tokens=True, steps_back=4), classifier(tokens=True)
    assert torch.equal(cut(ids, mask, mask), whole(ids, mask, mask))
    cell = cut.forwards[0]
    assert isinstance(cell, Cell)
    inputs = torch.randn(1, 8, 5, dtype=torch.float64, requires_grad=True)
    outputs, _ = unroll(cell, inputs, torch.tensor([8]), steps_back=4)
    outputs[0, 7].sum().backward()
    assert inputs.grad is not None
    assert (inputs.grad[0].abs().sum(1) > 0).tolist() == [False] * 4 + [True] * 4
