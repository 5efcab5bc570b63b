"""A table in parts: the same rows in the same order, in memory or in files."""

from pathlib import Path

import polars as pl
import pytest

from seedbed.data import spool
from seedbed.data.spool import Spool, write_table


@pytest.mark.parametrize("rows", [0, 5, 100])
def test_rows_are_those_of_one_table(tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ROWS_IN_MEMORY", rows)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/left.parquet").write_bytes(b"of a run that was killed")
    whole = pl.DataFrame({"이름": [f"행 {i}" for i in range(20)], "value": range(20)})
    parts = Spool(tmp_path / "parts")
    for first in range(0, 20, 4):
        parts.add(whole.slice(first, 4))
    parts.add(pl.DataFrame({"이름": ["끝"], "다른": [1.5]}))
    found = parts.table()
    assert isinstance(found, pl.DataFrame) == (rows == 100)
    expected = pl.concat([whole, pl.DataFrame({"이름": ["끝"], "다른": [1.5]})], how="diagonal")
    for number in range(2):
        write_table(found, tmp_path / f"{number}.parquet")
        assert pl.read_parquet(tmp_path / f"{number}.parquet").equals(expected)
    assert (tmp_path / "0.parquet").read_bytes() == (tmp_path / "1.parquet").read_bytes()
