"""Weights on disk are safetensors, written here alone: readable by others and clear about a full disk."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


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
