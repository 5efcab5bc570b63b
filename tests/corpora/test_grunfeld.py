"""The investment panel against what statsmodels itself loads."""

from pathlib import Path

import numpy as np
import polars as pl
from statsmodels.datasets import grunfeld

from seedbed.corpora.grunfeld import GrunfeldConfig
from seedbed.corpora.source import FetchContext


def test_is_what_statsmodels_has(tmp_path: Path) -> None:
    context = FetchContext(root=tmp_path, scratch=tmp_path)
    facts = GrunfeldConfig(name="grunfeld").fetch(tmp_path, context=context)
    assert facts["series"] == 11 and facts["points"] == 220
    found = pl.read_parquet(tmp_path / "series.parquet")
    assert found.columns == ["unique_id", "ds", "y", "value", "capital"]
    assert found.select("unique_id", "ds").rows() == sorted(set(found.select("unique_id", "ds").rows()))
    expected = grunfeld.load_pandas().data
    for firm, own in expected.groupby("firm"):
        firm = firm.decode() if isinstance(firm, bytes) else firm
        rows = found.filter(pl.col("unique_id") == firm.lower().replace(" ", "_"))
        assert rows["ds"].dt.year().to_list() == own["year"].astype(int).tolist()
        np.testing.assert_array_equal(
            rows.select("y", "value", "capital"), own[["invest", "value", "capital"]]
        )
