"""Forecasts of a frame with nothing configured: pandas as polars, defaults by size, faults in one line."""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from seedbed.config import Machine, UserError
from seedbed.forecasting import default
from seedbed.forecasting.cross_validated import cross_validate_frame
from seedbed.forecasting.direct import TableOptions, forecast_frame, forecast_once
from tests.forecasting.panels import months

SMALL = {
    **default.NBEATS,
    "model": {"name": "nbeats", "stacks": [{"name": "generic", "blocks": 1, "width": 8, "theta_size": 4}]},
    "lookbacks": [2],
    "losses": ["mase"],
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default forecaster with one small member."""
    monkeypatch.setattr(default, "NBEATS", SMALL)


def shop(name: str = "가게", length: int = 30, level: float = 100.0) -> pl.DataFrame:
    season = 10 * np.sin(np.arange(length) * np.pi / 6)
    ds = months(datetime.date(2020, 1, 1), length, 1)
    return pl.DataFrame({"unique_id": [name] * length, "ds": ds, "y": level + season})


def shops(count: int) -> pl.DataFrame:
    return pl.concat([shop(f"가게 {number}", 60, 100.0 + number) for number in range(count)])


def pandas(frame: pl.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: pd.to_datetime(frame[name].to_list()) if name == "ds" else frame[name]
            for name in frame.columns
        }
    )


def options(**values: Any) -> TableOptions:
    return TableOptions.parse(values, "x")


def test_pandas_and_polars_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = shop()
    found = forecast_frame(frame, horizon=3)
    assert found.columns == ["unique_id", "ds", "theta", "seasonal_naive"]
    assert found["ds"].to_list() == months(datetime.date(2022, 7, 1), 3, 1)
    np.testing.assert_allclose(found["seasonal_naive"], frame["y"][18:21])
    of_pandas = forecast_frame(
        pd.DataFrame(
            {"unique_id": "가게", "ds": pd.to_datetime(frame["ds"].to_list()), "y": frame["y"].to_list()}
        ),
        horizon=3,
    )
    assert isinstance(of_pandas, pd.DataFrame)
    assert of_pandas["ds"].dt.date.tolist() == found["ds"].to_list()
    np.testing.assert_array_equal(of_pandas["theta"], found["theta"])


def test_frames_as_pandas_users_have_them_give_the_same() -> None:
    whole = pandas(shop())
    expected = forecast_frame(whole, horizon=3)["theta"].tolist()
    forms = {
        "an index": whole.set_index("unique_id"),
        "two": whole.set_index(["unique_id", "ds"]),
        "other row labels": whole.set_index(np.arange(30) + 7),
        "periods": whole.assign(ds=whole["ds"].dt.to_period("M")),
        "categories": whole.astype({"unique_id": "category"}),
        "numbers as objects": whole.astype({"y": object}),
        "a clock": whole.assign(ds=whole["ds"].dt.tz_localize("Asia/Seoul")),
    }
    for name, frame in forms.items():
        found = forecast_frame(frame, horizon=np.int64(3))
        assert found["theta"].tolist() == expected, name
    assert str(found["ds"].iloc[0]) == "2022-07-01 00:00:00+09:00"


@pytest.mark.parametrize("of", [lambda frame: frame, pandas], ids=["polars", "pandas"])
def test_names_that_are_numbers_come_back_as_numbers(of: Any) -> None:
    numbered = shop("7").with_columns(pl.col("unique_id").cast(pl.Int32))
    frame = of(numbered.rename({"unique_id": "매장"}))
    found = forecast_frame(frame, horizon=2, id_col="매장")
    assert found["매장"].dtype == frame["매장"].dtype and set(found["매장"]) == {7}


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt8, pl.Int16, pl.UInt16])
def test_small_integers_of_time_hold_the_horizon(kind: Any) -> None:
    last = kind.max().pipe(pl.select).item()
    frame = shop().with_columns(ds=pl.int_range(last - 29, last + 1).cast(kind))
    assert forecast_frame(frame, horizon=2)["ds"].to_list() == [last + 1, last + 2]


@pytest.mark.filterwarnings("ignore:frame. columns not read")
def test_a_column_called_row_is_one_like_others() -> None:
    frame = shop().with_columns(row=pl.lit("둘"))
    assert forecast_frame(frame, horizon=2)["theta"].equals(forecast_frame(shop(), horizon=2)["theta"])
    with pytest.raises(UserError, match="series 가게 row 2: date 2022-05-01 00:00:00 comes after"):
        forecast_frame(pandas(frame.reverse()))


def test_a_column_frequency_is_told_of() -> None:
    with pytest.warns(UserWarning, match="column not read: frequency; steps are inferred from the dates"):
        forecast_frame(shop().with_columns(frequency=pl.lit("weekly")), horizon=2)


def test_columns_may_have_names_of_their_own() -> None:
    names = {"unique_id": "매장", "ds": "날짜", "y": "매출"}
    given = {"id_col": "매장", "time_col": "날짜", "target_col": "매출"}
    frame = shop().rename(names).with_columns(y=pl.lit(7.0))
    found = forecast_frame(frame, horizon=3, **given)
    assert found.columns == ["매장", "날짜", "theta", "seasonal_naive"]
    assert found["theta"].equals(forecast_frame(shop(), horizon=3)["theta"])


def test_enough_points_bring_nbeats_and_the_same_seed_the_same_forecasts() -> None:
    chosen = options(max_steps=40, horizon=6)
    first, second = (
        forecast_once(shops(10), chosen, where="x", machine=Machine(threads=1)) for _ in range(2)
    )
    assert first.forecasts.columns == ["unique_id", "ds", "nbeats", "seasonal_naive"]
    assert first.forecasts.equals(second.forecasts)
    assert first.card.run == "nbeats" and list(first.fitted) == ["monthly"]
    assert first.lines[0] == "10 series, monthly, season 12, horizon 6"
    assert first.lines[1].startswith("monthly: nbeats: smape ")
    assert first.lines[1].endswith(" on the last 6 points of 10 series")


@pytest.mark.parametrize(("horizon", "seasons"), [(12, (24,)), (11, ())])
def test_members_repeat_a_day_of_hours_where_their_windows_hold_one(
    horizon: int, seasons: tuple[int, ...]
) -> None:
    hours = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=hour) for hour in range(600)]
    frame = pl.DataFrame({"unique_id": "수요", "ds": hours, "y": 1e5 + np.arange(600) % 24.0})
    made = forecast_once(frame, options(max_steps=40, horizon=horizon), where="x", machine=Machine(threads=1))
    settings = made.card.forecaster.by_frequency  # type: ignore[union-attr]
    assert [one.seasons for one in settings.values()] == ([seasons] if seasons else [])


@pytest.mark.parametrize("said", [{}, {"future": ["promo"]}])
def test_a_series_of_one_row_is_forecast_beside_others(said: dict[str, Any]) -> None:
    new = "새 가게"
    frame = pl.concat([shops(1 if said else 10), shop(new, 1)]).with_columns(promo=pl.col("y") % 3)
    if said:
        ahead = pl.concat([shop("가게 0", 66).tail(6), shop(new, 7).tail(6)])
        frame = pl.concat([frame, ahead.drop("y").with_columns(promo=pl.lit(1.0))], how="diagonal")
    chosen = options(max_steps=40, horizon=6, **said)
    made = forecast_once(frame, chosen, where="x", machine=Machine(threads=1))
    found = made.forecasts.filter(pl.col("unique_id") == new)
    assert found.height == 6 and found["nbeats"].is_finite().all()
    assert "monthly: nbeats: 1 series of one known point are forecast, but not learned from" in made.lines


def test_one_row_is_too_little_to_learn_covariates_from() -> None:
    frame = shop("하나", 2).with_columns(promo=1.0, y=pl.Series([5.0, None]))
    with pytest.raises(
        UserError, match="monthly: no series has more than one known point, 하나 neither; 2 are"
    ):
        forecast_frame(frame, step="1mo", horizon=1, future=["promo"])
    assert forecast_frame(shop("하나", 1), step="1mo", horizon=1)["theta"].to_list() == [100.0]


def test_gaps_are_told_and_forecast_over() -> None:
    holes = shop().with_columns(y=pl.when(pl.col("ds").dt.month() == 5).then(None).otherwise("y"))
    made = forecast_once(holes.filter(pl.col("ds").dt.month() != 3), options(), where="x", machine=Machine())
    assert made.lines[1] == "6 of 30 points have no value (3 of them no row): kept as gaps"
    assert made.forecasts["theta"].is_finite().all() and made.forecasts["seasonal_naive"].is_finite().all()


@pytest.mark.parametrize(
    ("frame", "said", "told"),
    [
        (shop().drop("y"), {}, "frame: no column 'y'; columns: unique_id, ds"),
        (shop().clear(), {}, "frame: no rows"),
        (
            shop(),
            {"horizon": 31},
            "frame: the horizon 31 is longer than any series: 가게 has most points, 30",
        ),
        (shop(), {"horizon": 0}, "forecast_frame.horizon: input should be greater than or equal to 1"),
        (shop(), {"step": "month"}, "forecast_frame.step"),
        (shop(), {"model": "x"}, "forecast_frame.model: unknown key; known keys:"),
        (shop(), {"gaps": "refuse", "step": "1w"}, "series 가게 row 2: date 2020-02-01"),
        (
            shop(),
            {"id_col": "매장"},
            "frame: no column '매장', named for unique_id; columns: unique_id, ds, y",
        ),
        (shop(), {"target_col": "ds"}, "id_col, time_col and target_col: two of them are one column"),
        ({"unique_id": ["a"]}, {}, "frame: dict, expected a DataFrame of pandas or polars"),
        (shop().lazy(), {}, "frame: LazyFrame, expected a DataFrame"),
        (pandas(shop())[["unique_id", "ds", "y", "y"]], {}, "frame: two columns 'y'; keep one"),
        (
            pandas(shop()).astype({"y": object}).replace({"y": {100.0: "백"}}),
            {},
            "frame: series 가게 row 1: y is '백', expected a number",
        ),
        (
            shop().reverse(),
            {},
            "frame: series 가게 row 2: date 2022-05-01 comes after 2022-06-01; sort the file",
        ),
        (
            pandas(shop()).assign(y=1j),
            {},
            "frame: column 'y' is complex128, expected real numbers; convert it",
        ),
        (shop().with_columns(row=1), {"time_col": "row"}, "row numbers the rows here; rename that column"),
        (pl.concat([shop(), shop()]), {}, "series 가게 row 31: date 2020-01-01 is there twice"),
    ],
)
def test_faults_are_one_line(frame: Any, said: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        forecast_frame(frame, **said)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_faulty_series_are_left_out_only_if_asked() -> None:
    text = pl.col("y").cast(pl.String), pl.col("ds").cast(pl.String)
    frame = pl.concat([shop(), shop("나쁜 해").with_columns(ds=pl.lit(None, pl.Date))]).with_columns(text)
    with pytest.raises(UserError, match="series 나쁜 해 row 31: ds is empty"):
        forecast_frame(frame)
    made = forecast_once(frame, options(on_fault="leave_out"), where="x", machine=Machine())
    assert made.forecasts["unique_id"].unique().to_list() == ["가게"]
    assert "1 series left out: date empty" in made.lines


NOTICES = [
    "frame: 2 of 30 points have no value (1 of them no row): kept as gaps",
    "frame: 1 series left out: date empty",
    "frame: columns not read: price; name those known ahead future=[price], those known only up to the last y "
    "past=[..], those constant in a series static=[..]",
]


@pytest.mark.parametrize("door", [forecast_frame, cross_validate_frame])
def test_what_is_missing_left_out_or_not_read_is_warned_of(door: Callable[..., Any]) -> None:
    whole = shop().with_columns(
        y=pl.when(pl.col("ds") != datetime.date(2021, 5, 1)).then("y"), price=pl.lit(1.0)
    )
    holes = whole.filter(pl.col("ds") != datetime.date(2021, 3, 1))
    frame = pl.concat([holes, whole.with_columns(unique_id=pl.lit("나쁜 해"), ds=pl.lit(None, pl.Date))])
    with pytest.warns(UserWarning) as caught:
        door(frame, horizon=3, on_fault="leave_out")
    assert [str(one.message) for one in caught] == NOTICES
    assert {one.filename for one in caught} == {__file__}
