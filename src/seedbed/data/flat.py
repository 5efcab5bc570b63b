"""A long row of numbers, in memory or in a file without a name that is mapped into memory.

The file has no name so that nothing is left behind, whatever ends the process; pages of it that are not
in use cost no memory.
"""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
COPIED_VALUES = 1 << 18
"""Values that a copy holds in memory at a time."""


class FlatWriter:
    """Appends arrays; `finish` gives all of them as one, read-only where it lies in a file of `folder`."""

    def __init__(self, folder: Path | None) -> None:
        self._parts: list[Floats] = []
        self._count = 0
        self._file = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def append(self, values: Floats) -> None:
        self._count += values.size
        if self._file is None:
            self._parts.append(values)
        else:
            # written, not mapped: a mapped page that was changed stays in memory until it is flushed
            self._file.write(np.ascontiguousarray(values, np.float64).data)

    def finish(self) -> Floats:
        if self._file is None or not self._count:
            return np.concatenate([np.empty(0), *self._parts])
        self._file.flush()
        mapped: Floats = np.memmap(self._file, np.float64, mode="r", shape=(self._count,))
        self._file.close()
        return mapped


def take_rows(rows_NH: Floats, numbers: NDArray[np.int64], folder: Path | None) -> Floats:
    """A copy of some rows, where `FlatWriter` lays it."""
    writer, width = FlatWriter(folder), rows_NH.shape[1]
    together = max(1, COPIED_VALUES // max(1, width))
    for first in range(0, len(numbers), together):
        writer.append(rows_NH[numbers[first : first + together]].reshape(-1))
    return np.asarray(writer.finish()).reshape(len(numbers), width)
