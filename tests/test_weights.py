"""Weights: the same bytes for the same tensors, an ordinary file, an OSError where the disk is full."""

import errno
import os
import pickle
import stat
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from seedbed import weights
from seedbed.config import UserError
from seedbed.weights import fill, read_tensors, write_weights


def test_order_and_shared_memory_change_nothing(tmp_path: Path) -> None:
    one, other = torch.arange(6.0).view(2, 3), torch.ones(2)
    write_weights(tmp_path / "a", {"x": one, "y": other, "tied": one})
    write_weights(tmp_path / "b", {"tied": one, "y": other, "x": one.t().t()})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert torch.equal(safetensors.torch.load_file(tmp_path / "a")["tied"], one)


def test_the_file_has_the_mode_of_an_ordinary_one(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    write_weights(tmp_path / "a", {"x": torch.ones(1)})
    modes = {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("ordinary", "a")}
    assert len(modes) == 1


def test_a_full_disk_is_an_os_error_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_weights(tmp_path / "a", {"x": torch.ones(1)})
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / "a")


def test_a_file_that_is_no_safetensors_runs_nothing_and_is_told(tmp_path: Path) -> None:
    class Opened:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "opened",))

    path = tmp_path / "x.safetensors"
    write_weights(path, {"x": torch.ones(9)})
    for content in (pickle.dumps(Opened()), path.read_bytes()[:-5], b""):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"x\.safetensors: not readable as safetensors: .*; copy"):
            read_tensors(path)
    assert not (tmp_path / "opened").exists()


def test_weights_of_another_network_are_told(tmp_path: Path) -> None:
    one, path = nn.Linear(2, 3), tmp_path / "x.safetensors"
    write_weights(path, one.state_dict())
    other = nn.Linear(2, 3)
    fill(other, read_tensors(path), path=path)
    assert torch.equal(one.weight, other.weight)
    with pytest.raises(UserError, match=r"weight is \(3, 2\), expected \(3, 4\): the weights of another"):
        fill(nn.Linear(4, 3), read_tensors(path), path=path)
    with pytest.raises(UserError, match="bias is absent, expected"):
        fill(one, {"weight": one.weight}, path=path)
