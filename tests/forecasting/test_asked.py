"""What is said of columns on the command line and in Python, and what is said of those unnamed."""

import polars as pl
import pytest

from seedbed.config import Machine, UserError
from seedbed.forecasting import default
from seedbed.forecasting.asked import CovariateOptions, horizon_ahead, with_future
from seedbed.forecasting.direct import TableOptions, forecast_frame, forecast_once
from seedbed.forecasting.panels.checks import MISSING_WORDS
from tests.forecasting.promotions import HORIZON, promotions
from tests.forecasting.test_direct import SMALL


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "NBEATS", SMALL)


def test_columns_are_named_as_a_command_line_has_them() -> None:
    for word in ("future=[promo, price]", "future=promo,price", 'future=["promo","price"]'):
        found = CovariateOptions.parse_words([word, "past=[visits]"], "x").covariates("x")
        assert found.future == ("promo", "price") and str(found) == "past=[visits] future=[promo,price]"
    with pytest.raises(UserError, match="calendar"):
        CovariateOptions.parse_words(["calendar=[easter]"], "x")


def test_covariates_of_a_frame_forecast_as_far_as_they_are_known() -> None:
    frame = promotions(series=3, length=50, ahead=HORIZON)
    options = TableOptions.parse(
        {"future": ["promo"], "past": ["visits"], "static": ["size"], "max_steps": 40}, "x"
    )
    made = forecast_once(frame, options, where="x", machine=Machine(threads=1))
    assert made.lines[:2] == [
        "3 series, daily, season 7, horizon 6",
        "covariates past=[visits] future=[promo] static=[size]",
    ]
    assert made.forecasts.columns == ["unique_id", "ds", "nbeats", "seasonal_naive"]
    ahead = frame.filter(pl.col("y").is_null())
    assert made.forecasts["ds"].to_list() == ahead["ds"].to_list()
    assert made.forecasts["nbeats"].is_finite().all()
    assert made.card.covariates.names == ("visits", "promo", "size")
    assert [stack.name for stack in made.card.forecaster.model.stacks] == ["generic", "exogenous"]  # type: ignore[union-attr]


def test_columns_that_go_unnamed_are_told_of() -> None:
    frame = promotions(series=1, length=40).select("unique_id", "ds", "y", "promo", "visits")
    with pytest.warns(UserWarning, match="columns not read: promo,visits; name those known ahead"):
        forecast_frame(frame, horizon=2)
    made = forecast_once(frame, TableOptions.parse({}, "x"), where="x", machine=Machine())
    [line] = [line for line in made.lines if "not read" in line]
    assert line.startswith("columns not read: promo,visits; name those known ahead future=[promo,visits]")


def test_a_calendar_needs_no_rows_ahead() -> None:
    frame = promotions(series=2, length=50).select("unique_id", "ds", "y")
    options = TableOptions.parse({"calendar": ["weekday"], "max_steps": 40, "horizon": 3}, "x")
    made = forecast_once(frame, options, where="x", machine=Machine(threads=1))
    assert made.lines[1] == "covariates calendar=[weekday]" and made.forecasts.height == 6


@pytest.mark.filterwarnings("ignore:frame. columns not read")
def test_faults_are_one_line() -> None:
    frame = promotions(series=2, length=40, ahead=3)
    for options, told in (
        (
            {"future": ["price"]},
            "frame: no column 'price', named as a covariate; columns: unique_id, ds, y, promo",
        ),
        ({"future": ["promo"], "past": ["promo"]}, "column promo is named twice"),
        (
            {"future": ["promo"], "horizon": 4},
            "frame: series 가게 0 row 43: promo must be known for the 4 points after the last y, rows are there "
            "for 3",
        ),
    ):
        with pytest.raises(UserError) as caught:
            forecast_frame(frame, **options)
        assert told in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("word", MISSING_WORDS)
def test_rows_ahead_may_say_in_any_word_that_y_is_missing(word: str) -> None:
    whole = promotions(series=2, length=40, ahead=3)
    text = whole.with_columns(y=pl.col("y").cast(pl.String).fill_null(f" {word}"))
    assert horizon_ahead(text) == horizon_ahead(whole) == 3
    assert horizon_ahead(whole.with_columns(pl.col("y").fill_null(float("nan")))) == 3


def test_rows_ahead_may_come_in_a_table_of_their_own() -> None:
    whole = promotions(series=2, length=40, ahead=3).with_row_index("row", offset=1)
    past = whole.filter(pl.col("y").is_not_null()).with_columns(row=pl.int_range(1, pl.len() + 1))
    future = whole.filter(pl.col("y").is_null()).select("unique_id", "ds", "promo")
    future = future.with_row_index("row", offset=1)
    joined = with_future(past, future, where="x")
    assert horizon_ahead(joined) == horizon_ahead(whole) == 3 and horizon_ahead(past) is None
    assert joined["row"].to_list() == list(range(1, 87))
    assert joined.sort("unique_id", "ds")["promo"].equals(whole.sort("unique_id", "ds")["promo"])
    with pytest.raises(UserError, match="future_file has a column y"):
        with_future(past, past, where="x")
    with pytest.raises(UserError, match="the columns of both files differ in kind"):
        with_future(past, future.with_columns(ds=pl.lit(True)), where="x")
