"""Long rows of numbers: the same in memory and in a file without a name; rows are copied some at a time."""

from pathlib import Path

import numpy as np
import pytest

from seedbed.data import flat
from seedbed.data.flat import FlatWriter, take_rows


@pytest.mark.parametrize("on_disk", [False, True])
def test_arrays_come_back_end_to_end(tmp_path: Path, on_disk: bool) -> None:
    writer = FlatWriter(tmp_path / "flat" if on_disk else None)
    for first in range(0, 12, 4):
        writer.append(np.arange(first, first + 4.0))
    found = writer.finish()
    np.testing.assert_array_equal(found, np.arange(12.0))
    assert isinstance(found, np.memmap) == on_disk
    assert not list(tmp_path.glob("flat/*")), "the file has no name"


@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_are_taken_some_at_a_time(
    tmp_path: Path, on_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat, "COPIED_VALUES", 7)
    sizes: list[int] = []
    append = FlatWriter.append

    def counted(self: FlatWriter, values: flat.Floats) -> None:
        sizes.append(values.size)
        append(self, values)

    monkeypatch.setattr(FlatWriter, "append", counted)
    rows_NH = np.random.default_rng(0).normal(size=(10, 3))
    rows_NH[4, 1] = np.nan
    numbers = np.asarray([9, 4, 4, 0, 7])
    np.testing.assert_array_equal(
        take_rows(rows_NH, numbers, tmp_path if on_disk else None), rows_NH[numbers]
    )
    assert sizes == [6, 6, 3]
    assert take_rows(rows_NH, numbers[:0], tmp_path).shape == (0, 3)
