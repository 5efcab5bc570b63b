"""The LSTM against torch's, and its clips against a plain loop."""

import math

import pytest
import torch
from torch import Tensor, nn

from seedbed.models.projected_lstm import ProjectedLSTM


def pair(**clips: float) -> tuple[ProjectedLSTM, nn.LSTM]:
    """Ours and torch's with the same weights, in fp64."""
    torch.manual_seed(0)
    theirs = nn.LSTM(7, 11, proj_size=5, batch_first=True).double()
    ours = ProjectedLSTM(
        7,
        cell_size=11,
        projection_size=5,
        cell_clip=clips.get("cell"),
        projection_clip=clips.get("projection"),
    ).double()
    with torch.no_grad():
        ours.gates.weight.copy_(theirs.weight_ih_l0)
        ours.gates.bias.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
        ours.recurrence.weight.copy_(theirs.weight_hh_l0)
        ours.projection.weight.copy_(theirs.weight_hr_l0)
    return ours, theirs


def inputs(scale: float = 1.0) -> Tensor:
    made = torch.randn((3, 9, 7), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (scale * made).requires_grad_()


def test_without_clips_torch_gives_the_same_outputs_and_gradients() -> None:
    ours, theirs = pair()
    first, second = inputs(), inputs()
    found, expected = ours(first), theirs(second)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    found.sin().sum().backward()
    expected.sin().sum().backward()
    assert first.grad is not None and second.grad is not None
    torch.testing.assert_close(first.grad, second.grad, rtol=0, atol=1e-12)
    for one, other in (
        (ours.gates.weight, theirs.weight_ih_l0),
        (ours.gates.bias, theirs.bias_ih_l0),
        (ours.recurrence.weight, theirs.weight_hh_l0),
        (ours.projection.weight, theirs.weight_hr_l0),
    ):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-12)


def test_clips_are_those_of_a_plain_loop() -> None:
    ours, _ = pair(cell=0.2, projection=0.05)
    read = inputs(3.0).detach()
    cells, outputs = [0.0] * 11, [0.0] * 5
    w, u, b = ours.gates.weight.tolist(), ours.recurrence.weight.tolist(), ours.gates.bias.tolist()
    p = ours.projection.weight.tolist()

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    for place, word in enumerate(read[0].tolist()):
        gates = [
            b[g]
            + sum(x * y for x, y in zip(w[g], word, strict=True))
            + sum(x * y for x, y in zip(u[g], outputs, strict=True))
            for g in range(44)
        ]
        for h in range(11):
            cell = sigmoid(gates[11 + h]) * cells[h] + sigmoid(gates[h]) * math.tanh(gates[22 + h])
            cells[h] = max(-0.2, min(0.2, cell))
        shown = [sigmoid(gates[33 + h]) * math.tanh(cells[h]) for h in range(11)]
        outputs = [max(-0.05, min(0.05, sum(x * y for x, y in zip(row, shown, strict=True)))) for row in p]
        assert ours(read)[0, place].tolist() == pytest.approx(outputs, abs=1e-12)
    plain, _ = pair()
    assert plain(read).abs().max() > 0.05, "without clips it is larger, so they are met"


def test_in_bf16_the_cell_is_kept_in_fp32() -> None:
    ours = ProjectedLSTM(7, cell_size=11, projection_size=5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = ours(inputs().float())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), ours(inputs().float()), rtol=0, atol=0.02)


def test_the_forget_gate_begins_open() -> None:
    ours = ProjectedLSTM(7, cell_size=11, projection_size=5)
    ours.initialise(torch.Generator().manual_seed(0))
    assert ours.gates.bias.tolist() == [0.0] * 11 + [1.0] * 11 + [0.0] * 22
