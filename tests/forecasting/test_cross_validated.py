"""Origins of a frame: Nixtla's columns, nothing of what follows a cutoff, the seasonal naive as by hand."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from seedbed.config import UserError
from seedbed.forecasting.cross_validated import cross_validate_frame
from tests.forecasting.test_direct import pandas, shop, shops, small

__all__ = ["small"]


def test_the_columns_and_cutoffs_are_nixtlas() -> None:
    found = cross_validate_frame(shop(), horizon=3, n_windows=3, step_size=2)
    assert isinstance(found, pl.DataFrame)
    assert found.columns == ["unique_id", "ds", "cutoff", "y", "theta", "seasonal_naive"]
    cutoffs = [datetime.date(2021, 11, 1), datetime.date(2022, 1, 1), datetime.date(2022, 3, 1)]
    assert found["cutoff"].unique().sort().to_list() == cutoffs and found.height == 9
    truth = dict(shop().select("ds", "y").rows())
    assert [truth[date] for date in found["ds"]] == found["y"].to_list()
    a_year_before = [truth[date.replace(year=date.year - 1)] for date in found["ds"]]
    np.testing.assert_allclose(found["seasonal_naive"], a_year_before)
    own = {"target_col": "매출", "horizon": 3}
    of_pandas = cross_validate_frame(
        pandas(shop()).rename(columns={"y": "매출"}), n_windows=np.int64(1), **own
    )
    assert isinstance(of_pandas, pd.DataFrame)
    assert list(of_pandas.columns)[3:] == ["매출", "theta", "seasonal_naive"]


@pytest.mark.parametrize("refit", [False, True])
def test_nothing_after_a_cutoff_is_seen(refit: bool) -> None:
    said: dict[str, Any] = {"horizon": 3, "n_windows": 2, "refit": refit, "max_steps": 40}
    whole = shops(12)
    spiked = whole.with_columns(
        y=pl.when(pl.col("ds") > datetime.date(2024, 9, 1)).then(1e6).otherwise("y"),
    )
    found, after = (cross_validate_frame(frame, **said) for frame in (whole, spiked))
    assert found.columns[4:] == ["nbeats", "seasonal_naive"]
    assert found["cutoff"].max() == datetime.date(2024, 9, 1), "the spike is what the last window forecasts"
    assert found.drop("y").equals(after.drop("y")) and after["y"].max() == 1e6


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"levels": [80]}, "cross_validate_frame: levels: intervals come with forecasts"),
        ({"n_windows": 0}, "cross_validate_frame.n_windows: input should be greater than or equal to 1"),
        ({"horizon": 3, "n_windows": 30}, "window 30 from the end needs 92 points"),
        ({"horizon": 29}, "the horizon 29 of monthly is longer than any series allows"),
    ],
)
def test_faults_are_one_line(said: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        cross_validate_frame(shop(), **said)


@pytest.mark.filterwarnings("ignore:frame. 1 of 30 points have no value")
def test_a_gap_is_a_row_without_y() -> None:
    frame = shop().with_columns(
        y=pl.when(pl.col("ds") == datetime.date(2022, 5, 1)).then(None).otherwise("y")
    )
    found = cross_validate_frame(frame, horizon=3)
    assert found["y"].to_list()[1] is None and found["theta"].is_finite().all()
