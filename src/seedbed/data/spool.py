"""A long table that comes in parts: in memory while it is short, in files once it is long."""

from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.workspace import remove

if TYPE_CHECKING:
    import polars as pl

ROWS_IN_MEMORY = 1 << 17
ROW_GROUP = 1 << 17


class Spool:
    """Collects tables; a column that some lack is null there. `folder` is its own and is emptied first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: list[pl.DataFrame] = []
        self._files: list[Path] = []
        remove(folder)

    def add(self, table: "pl.DataFrame") -> None:
        self._tables.append(table)
        if sum(one.height for one in self._tables) > ROWS_IN_MEMORY:
            self._spill()

    def table(self) -> "pl.DataFrame | pl.LazyFrame":
        """All rows in the order they came: in memory if they are few, else read from the files as needed."""
        import polars as pl

        if not self._files:
            return pl.concat(self._tables, how="diagonal")
        self._spill()
        return pl.concat([pl.scan_parquet(file) for file in self._files], how="diagonal")

    def _spill(self) -> None:
        import polars as pl

        if self._tables:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{len(self._files):06d}.parquet"
            pl.concat(self._tables, how="diagonal").write_parquet(path)
            self._files.append(path)
            self._tables = []


def write_table(table: "pl.DataFrame | pl.LazyFrame", path: Path, *, statistics: bool = True) -> None:
    """As Parquet, without having a long table in memory."""
    import polars as pl

    if isinstance(table, pl.DataFrame):
        table.write_parquet(path, statistics=statistics)
    else:
        table.sink_parquet(path, statistics=statistics, row_group_size=ROW_GROUP)
