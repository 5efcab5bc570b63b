"""Files of series: CSV and Parquet, one file or a folder of them, as tables of whole series."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.config import UserError
from seedbed.forecasting.panels.date_checks import refuse_unclear

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".csv", ".parquet")
PIECE_ROWS = 1 << 19
"""Rows of a Parquet panel in memory at a time, about 300 bytes each while they are checked. A CSV file is
read whole: make a large one Parquet."""
COLUMNS = ("unique_id", "ds", "y", "frequency")
OWN_ROW = "row (of the table)"
"""What a column called row is called, for `row` is the number of a row, which faults are told by."""


def find_files(path: Path) -> list[Path]:
    """The file, or the files of a folder, which all have one of the two suffixes."""
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if suffix(p) in SUFFIXES)
        if not files:
            raise UserError(f"{path}: no .csv or .parquet file in this folder; put the panel's files there")
        other = next((p for p in files if suffix(p) != suffix(files[0])), None)
        if other is not None:
            raise UserError(f"{path}: both {files[0].name} and {other.name}; keep one format in a folder")
        return files
    if not path.is_file() and not path.suffix:
        raise UserError(f"{path}: no such file or folder; correct the name")
    if suffix(path) not in SUFFIXES:
        raise UserError(f"{path}: series come as .csv or .parquet; convert it, or correct panel.file")
    if not path.is_file():
        raise UserError(f"{path}: no such file; correct the name (panel.file, where a panel's conf gives it)")
    return [path]


def suffix(path: Path) -> str:
    """`.csv` of T.CSV too, as some systems write names."""
    return path.suffix.lower()


def read_tables(
    path: Path, *, others: Sequence[str] | None = (), id_col: str = "unique_id", time_col: str = "ds"
) -> Iterator["pl.DataFrame"]:
    """The rows of a file or folder; of large Parquet files in pieces of whole series by name.

    Of Parquet files the columns of long format and `others` are read; None: every column there is.

    Every piece has `row`, the number of the row in the file or, of a folder, in its files by name.
    """
    files = find_files(path)
    try:
        if suffix(files[0]) == ".csv":
            yield read_csv(files, id_col=id_col, time_col=time_col)
        else:
            yield from _pieces(files, others)
    except _unreadable() as error:
        raise UserError(f"{path}: not readable as {suffix(files[0])[1:]}: {_reason(error, files)}") from None


def read_csv(
    files: list[Path], *, id_col: str = "unique_id", time_col: str = "ds", **options: Any
) -> "pl.DataFrame":
    """Names are text, even of digits, dates are dates; faults are looked for over the whole of each file."""
    import polars as pl

    for file in files:
        with file.open("rb") as bytes_:
            if b"\0" in bytes_.read(256):
                raise UserError(
                    f"{file}: written as UTF-16, or not as text; save it as UTF-8 (a spreadsheet calls it "
                    "CSV UTF-8)"
                )
    if len(files) > 1:
        _check_alike(files)
    # Whole-file inference: a stray word in the last row must reach our check, which names the row.
    parts = [
        pl.read_csv(
            file,
            try_parse_dates=True,
            infer_schema_length=None,
            schema_overrides={id_col: pl.String},
            **options,
        )
        for file in files
    ]
    table = pl.concat([part.select(parts[0].columns) for part in parts], how="vertical_relaxed")
    table = table.rename({"row": OWN_ROW}, strict=False).with_row_index("row", offset=1)
    if time_col in table.columns and table.schema[time_col].is_temporal():
        # polars takes 01/02/2024 for a day in February without a word
        texts = _texts(files, time_col)
        refuse_unclear(texts, table["row"], str(files[0] if len(files) == 1 else files[0].parent))
        if getattr(table.schema[time_col], "time_zone", None) and (zone := _zone(texts)):
            table = table.with_columns(pl.col(time_col).dt.convert_time_zone(zone))
    return table


def _texts(files: list[Path], column: str) -> "pl.Series":
    """A column as it is written."""
    import polars as pl

    parts = [pl.read_csv(file, columns=[column], schema_overrides={column: pl.String}) for file in files]
    return pl.concat(parts).to_series()


def _zone(texts: "pl.Series") -> str | None:
    """The zone of dates that are all written with one offset of whole hours; polars reads them as UTC."""
    offsets = texts.drop_nulls().str.extract(r"([+-]\d\d):?00\s*$").unique()
    if len(offsets) != 1 or offsets[0] is None:
        return None
    hours = int(offsets[0])
    return f"Etc/GMT{-hours:+d}" if hours else None  # POSIX counts westward


def _pieces(files: list[Path], others: Sequence[str] | None) -> Iterator["pl.DataFrame"]:
    import polars as pl

    schema = pl.scan_parquet(files).collect_schema()
    index = OWN_ROW if "row" in schema else "row"
    # numbered by the scan itself, which then still passes over what a piece does not need
    lazy = pl.scan_parquet(files, row_index_name=index, row_index_offset=1)
    if index != "row":
        lazy = lazy.rename({"row": OWN_ROW, index: "row"})
        schema = lazy.collect_schema()
    if others is not None and not set(others) <= set(schema):
        others = None  # the fault names every column there is
    wanted = [name for name in schema if others is None or name in (*COLUMNS, *others)]
    lazy = lazy.select("row", *(name for name in wanted if name != "row"))
    rows = int(lazy.select(pl.len()).collect().item())
    if rows <= PIECE_ROWS or "unique_id" not in schema:
        yield lazy.collect()
        return
    if schema["unique_id"] != pl.String:
        lazy = lazy.with_columns(pl.col("unique_id").cast(pl.String))
    counts = lazy.group_by("unique_id").len().collect(engine="streaming").sort("unique_id", nulls_last=True)
    piece = (counts["len"].cum_sum() - counts["len"]) // PIECE_ROWS
    if counts["unique_id"].null_count():
        yield lazy.filter(pl.col("unique_id").is_null()).collect()
    for part in counts.with_columns(piece.alias("piece")).drop_nulls("unique_id").partition_by("piece"):
        low, high = pl.lit(part["unique_id"][0]), pl.lit(part["unique_id"][-1])
        yield lazy.filter(pl.col("unique_id").is_between(low, high)).collect(engine="streaming")


def _check_alike(files: list[Path]) -> None:
    """The files of a folder have the same columns, in any order."""
    import polars as pl

    headers = [pl.read_csv(file, n_rows=0, infer_schema=False).columns for file in files]
    for file, header in zip(files, headers, strict=True):
        if sorted(header) != sorted(headers[0]):
            raise UserError(
                f"{file}: columns {', '.join(header)[:200]}, but {files[0].name} has "
                f"{', '.join(headers[0])[:200]}; give the files of a folder the same columns"
            )


def _reason(error: BaseException, files: list[Path]) -> str:
    """What is wrong with the files, and with polars' words where they do not say what to do."""
    reason = str(error).strip().splitlines()[0]
    if "utf-8" in reason:
        return f"{reason}; save it as UTF-8 (a spreadsheet calls it CSV UTF-8)"
    if "more fields" in reason and (place := _too_wide(files)):
        return place
    return reason


def _too_wide(files: list[Path]) -> str | None:
    for file in files:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines)
            width = len(next(rows, []))
            for number, row in enumerate(rows, 1):
                if len(row) > width:
                    return f"row {number} has {len(row)} fields, the header {width}; mend the row"
    return None


def _unreadable() -> tuple[type[BaseException], ...]:
    import polars as pl

    return (pl.exceptions.PolarsError, OSError)
