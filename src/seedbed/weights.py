"""Weights on disk are safetensors: readable by others, clear about a full disk and a file that is none."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seedbed.config import UserError


def write_weights(
    path: Path, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write copies of `tensors` to `path`; the same tensors give the same bytes.

    Raises OSError, as any other writing does, where safetensors raises an error of its own; and gives the
    file the mode of an ordinary one, where safetensors keeps it to its owner.
    """
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in sorted(tensors.items())}
    try:
        save_file(copies, path, metadata=None if metadata is None else dict(metadata))
    except SafetensorError as error:
        text = str(error)
        code = next(
            (c for c in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) if f"os error {c})" in text), errno.EIO
        )
        raise OSError(code, os.strerror(code), str(path)) from None
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """What `write_weights` wrote; UserError where it is not safetensors, a pickle for one, or cut short."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(
            f"{path}: not readable as safetensors: {error}; copy the whole folder again"
        ) from None


def fill(network: nn.Module, tensors: Mapping[str, Tensor], *, path: Path) -> None:
    """Load `tensors` of the file `path` into `network`; UserError where they are another network's."""
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != found:
        name = min(name for name in {**wanted, **found} if wanted.get(name) != found.get(name))
        raise UserError(
            f"{path}: {name} is {found.get(name, 'absent')}, expected {wanted.get(name, 'absent')}: the "
            "weights of another configuration; copy the whole folder again"
        )
    network.load_state_dict(dict(tensors))
