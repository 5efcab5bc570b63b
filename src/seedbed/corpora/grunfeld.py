"""Investment of eleven American firms by year, 1935 to 1954, with their value and capital beside it.

Grunfeld 1958, as statsmodels installs it: a panel whose series depend on covariates.
"""

import datetime
from pathlib import Path
from typing import Literal

from seedbed.config import Strict
from seedbed.corpora.classics import rows_of, statsmodels_folder
from seedbed.corpora.source import Facts, FetchContext


class GrunfeldConfig(Strict):
    name: Literal["grunfeld"]

    def fetch(self, into: Path, *, context: FetchContext) -> Facts:
        """Write series.parquet: unique_id (firm), ds (first of January), y (investment), value, capital."""
        # Imported here: every stage imports this room, and only this function needs Arrow.
        import pyarrow as pa
        import pyarrow.parquet as pq

        del context
        version, folder = statsmodels_folder()
        rows = sorted(
            (
                row["firm"].lower().replace(" ", "_"),
                datetime.date(int(float(row["year"])), 1, 1),
                float(row["invest"]),
                float(row["value"]),
                float(row["capital"]),
            )
            for row in rows_of(folder / "grunfeld" / "grunfeld.csv")
        )
        types = {"unique_id": pa.string(), "ds": pa.date32()} | dict.fromkeys(
            ("y", "value", "capital"), pa.float64()
        )
        columns = zip(types.items(), zip(*rows, strict=True), strict=True)
        table = pa.table({name: pa.array(values, kind) for (name, kind), values in columns})
        pq.write_table(table, into / "series.parquet", compression="zstd")
        return {"statsmodels": version, "series": len({row[0] for row in rows}), "points": len(rows)}
