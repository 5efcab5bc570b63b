"""Covariates of a panel: cut with the series, a horizon further where known ahead, faults by series and row."""

import datetime
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed.config import UserError
from seedbed.forecasting.layouts.ett import ETTConfig
from seedbed.forecasting.panels import Covariates, CovariatesConfig, Rules, SeriesSet, gather
from seedbed.forecasting.panels.sieve import Sieve
from seedbed.forecasting.windows import WindowPresentations, Windows
from tests.forecasting.promotions import FREQUENCIES, HORIZON, config, load, promotions
from tests.forecasting.test_panels import ONE, rows

LOOKBACK = 10


def of(series: SeriesSet) -> Covariates:
    assert series.covariates is not None
    return series.covariates


def test_parts_keep_what_is_known_at_their_end(tmp_path: Path) -> None:
    frame = promotions()
    panel = load(tmp_path, frame)
    for part, behind in ((panel.sets("train")[0], 2 * HORIZON), (panel.sets("history")[0], HORIZON)):
        given, length = of(part), 120 - behind
        assert given.past_LP.shape == (6 * length, 1) and given.future.shape == (6 * (length + HORIZON), 1)
        for number in range(6):
            own = frame.filter(pl.col("unique_id") == part.ids[number])
            past = given.past_LP[part.offsets[number] : part.offsets[number + 1], 0]
            np.testing.assert_array_equal(past, own["visits"][:length])
            first = int(part.offsets[number]) + HORIZON * number
            future = given.future[first : first + length + HORIZON, 0]
            np.testing.assert_array_equal(future, own["promo"][: length + HORIZON])
        assert given.static_NS[:, 0].tolist() == [0, 1, 0, 1, 0, 1]


def test_on_disk_and_in_pieces_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load(tmp_path, promotions())
    monkeypatch.setattr("seedbed.forecasting.panels.covariates.COPIED_ROWS", 25)
    monkeypatch.setattr("seedbed.forecasting.panels.tables.PIECE_ROWS", 130)
    on_disk = load(tmp_path, promotions(), scratch=tmp_path / "scratch")
    for one, other in zip(whole.sets("train"), on_disk.sets("train"), strict=True):
        assert isinstance(of(other).past_LP, np.memmap) and isinstance(of(other).future, np.memmap)
        np.testing.assert_array_equal(of(one).past_LP, of(other).past_LP)
        np.testing.assert_array_equal(of(one).future, of(other).future)
        for kind, facts in of(one).facts(one.offsets).items():
            np.testing.assert_allclose(of(other).facts(other.offsets)[kind], facts, rtol=1e-12)
    assert whole.digest() == on_disk.digest()
    changed = promotions().with_columns(promo=pl.col("promo") + 1.0)
    assert load(tmp_path, changed).digest() != whole.digest()


def test_facts_are_of_the_series_and_not_of_what_is_ahead(tmp_path: Path) -> None:
    frame = promotions(series=2).with_columns(
        promo=pl.when(pl.int_range(pl.len()).over("unique_id") >= 108).then(1e6).otherwise("promo")
    )
    train = load(tmp_path, frame).sets("train")[0]
    seen = frame.filter(pl.int_range(pl.len()).over("unique_id") < 108)
    found = of(train).facts(train.offsets)
    expected = [seen["promo"].mean(), seen["promo"].std(ddof=0), seen["promo"].max()]
    np.testing.assert_allclose(found["future"][:, 0], np.asarray(expected, float), rtol=1e-12)
    visits = seen["visits"].to_numpy()
    np.testing.assert_allclose(found["past"][:, 0], [visits.mean(), visits.std(), visits.max()], rtol=1e-12)


def test_a_window_is_what_the_file_says(tmp_path: Path) -> None:
    frame = promotions()
    series = load(tmp_path, frame).sets("history")[0]
    numbers, cuts = np.asarray([0, 3, 5, 5]), np.asarray([4, 50, 114, 112])
    batch = Windows(series, lookback=LOOKBACK).cut(numbers, cuts)
    for place, (number, cut) in enumerate(zip(numbers, cuts, strict=True)):
        own = frame.filter(pl.col("unique_id") == series.ids[number])
        first, last = max(0, cut - LOOKBACK), min(cut + HORIZON, 120)
        padding, missing = LOOKBACK - (cut - first), cut + HORIZON - last
        mask = [0.0] * padding + [1.0] * (last - first) + [0.0] * missing
        assert batch["covariate_mask"][place].tolist() == mask
        expected = [0.0] * padding + own["promo"][first:last].to_list() + [0.0] * missing
        assert batch["future"][place, :, 0].tolist() == expected
        past = [0.0] * padding + own["visits"][first:cut].to_list()
        np.testing.assert_allclose(batch["past"][place, :, 0], past, rtol=1e-6)
        assert batch["static"][place].tolist() == [number % 2]


def test_what_comes_after_the_cutoff_is_seen_only_if_it_is_known_ahead(tmp_path: Path) -> None:
    """Spikes in y and in every covariate after the cutoff: of windows at it only `future` changes."""
    frame = promotions(series=3)
    after = pl.int_range(pl.len()).over("unique_id") >= 114
    spiked = frame.with_columns(
        pl.when(after).then(1e6).otherwise(pl.col("y", "promo", "visits")).name.keep()
    )
    before, changed = (load(tmp_path, one).sets("history")[0] for one in (frame, spiked))
    for make in (
        lambda one: Windows(one, lookback=LOOKBACK).at_end(),
        lambda one: WindowPresentations(one, lookback=LOOKBACK, seeds=(1, 2), history_horizons=3.0).batch(
            0, 50
        ),
    ):
        one, other = make(before), make(changed)
        differing = {name for name in one if not np.array_equal(one[name], other[name])}
        assert differing == {"future"}
        known = one["covariate_mask"].shape[-1] - HORIZON
        assert (other["future"][..., :known, :] < 2).all(), "a spike in the lookback"
    train = load(tmp_path, spiked).sets("train")[0]
    assert float(of(train).future.max()) < 2, "the train part knows of the test part"


def test_a_gap_in_y_keeps_its_covariates(tmp_path: Path) -> None:
    frame = promotions(series=1).with_columns(
        y=pl.when(pl.int_range(pl.len()) == 50).then(None).otherwise("y")
    )
    batch = Windows(load(tmp_path, frame).sets("history")[0], lookback=LOOKBACK).cut(
        np.asarray([0]), np.asarray([52])
    )
    assert batch["insample_mask"][0].tolist() == [1.0] * 8 + [0.0, 1.0]
    assert batch["covariate_mask"].all()
    assert batch["past"][0, -2, 0] == pytest.approx(frame["visits"][50])


def spoil(column: str, value: object, *, row: int, frame: pl.DataFrame | None = None) -> pl.DataFrame:
    frame = promotions() if frame is None else frame
    place = pl.int_range(pl.len()) == row - 1
    return frame.with_columns(
        pl.when(place).then(pl.lit(value, dtype=pl.Float64)).otherwise(column).alias(column)
    )


@pytest.mark.parametrize(
    ("frame", "told", "reason"),
    [
        (
            spoil("visits", None, row=130),
            "series 가게 1 row 130: covariate visits is missing",
            "covariate missing",
        ),
        (
            spoil("promo", float("nan"), row=5),
            "series 가게 0 row 5: covariate promo is miss",
            "covariate missing",
        ),
        (
            spoil("promo", 1e31, row=5),
            "row 5: covariate promo is 1e+31, expected at most",
            "covariate too large",
        ),
        (
            spoil("size", 9.0, row=5),
            "row 5: static covariate size is 9.0, and another",
            "static covariate changes",
        ),
        (
            promotions().with_columns(size=pl.when(pl.col("unique_id") != "가게 2").then("size")),
            "series 가게 2 row 241: static covariate size is missing in the whole",
            "static covariate missing",
        ),
        (
            promotions().filter(pl.int_range(pl.len()) != 129),
            "series 가게 1 row 130: rows are absent before it, so visits, promo are not known",
            "covariates of an absent row",
        ),
        (
            spoil("promo", None, row=7).with_columns(pl.col("promo").cast(pl.String).fill_null("세일")),
            "row 7: covariate promo is '세일', expected a number",
            "covariate not a number",
        ),
    ],
)
def test_faults_are_one_line_or_counted(tmp_path: Path, frame: pl.DataFrame, told: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, frame)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    panel = load(tmp_path, frame, on_fault="leave_out")
    assert panel.counts.left_out == {reason: 1} and len(panel.sets("history")[0]) == 5
    assert f"1 series left out: {reason}" in panel.lines()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"past": ["price"]},
            "no column 'price', a past covariate; columns: unique_id, ds, y, promo, visits",
        ),
        ({"past": ["ds"]}, "column ds has a meaning of its own"),
        ({"past": ["promo"], "future": ["promo"]}, "column promo is named twice"),
    ],
)
def test_columns_must_be_there_and_be_told_apart(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, promotions(), covariates=given)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def ahead(frame: pl.DataFrame, **changed: Any) -> SeriesSet:
    """The series of a frame that is forecast beyond its end."""
    rules = Rules(config().frequencies, needs_test=False, covariates=config().covariates)
    sieve = Sieve("x.csv", changed.get("on_fault", "refuse"))
    sets, counts = gather([frame], rules, sieve=sieve)
    assert counts.left_out == changed.get("left_out", {})
    return sets[0]


def test_rows_without_y_at_the_end_are_what_is_ahead(tmp_path: Path) -> None:
    frame = promotions(length=40, ahead=HORIZON + 2)
    series = ahead(frame.with_columns(visits=pl.when(pl.col("y").is_not_null()).then("visits")))
    assert series.lengths.tolist() == [40] * 6 and not np.isnan(of(series).future).any()
    batch = Windows(series, lookback=LOOKBACK).at_end()
    own = frame.filter(pl.col("unique_id") == series.ids[1])
    assert batch["future"][1, :, 0].tolist() == own["promo"][30:46].to_list()
    assert batch["covariate_mask"].all()


@pytest.mark.parametrize("after", [None, 7.0])
def test_of_past_covariates_later_rows_are_not_read(after: float | None) -> None:
    known = pl.col("y").is_not_null()
    frame = promotions(length=40, ahead=HORIZON)
    frame = frame.with_columns(visits=pl.when(known).then("visits").otherwise(after))
    covariates = CovariatesConfig.parse({"past": ["visits"]}, "x")
    rules = Rules(config().frequencies, needs_test=False, covariates=covariates)
    [cut], counts = gather([frame], rules, sieve=Sieve("x.csv", "refuse"))
    [without], _ = gather([frame.filter(known)], rules, sieve=Sieve("x.csv", "refuse"))
    assert cut.lengths.tolist() == [40] * 6 and counts.missing == 0
    np.testing.assert_array_equal(cut.values, without.values)
    np.testing.assert_array_equal(of(cut).past_LP, of(without).past_LP)
    [plain], counts = gather(
        [frame], Rules(config().frequencies, needs_test=False), sieve=Sieve("x", "refuse")
    )
    assert plain.lengths.tolist() == [40 + HORIZON] * 6 and counts.missing == 6 * HORIZON


def test_series_whose_future_is_not_known_are_refused_or_counted() -> None:
    frame = promotions(length=40, ahead=HORIZON).with_row_index("row", offset=1)
    short = frame.filter(~((pl.col("unique_id") == "가게 2") & (pl.col("ds") > datetime.date(2024, 2, 13))))
    with pytest.raises(UserError) as caught:
        ahead(short)
    assert str(caught.value) == (
        "x.csv: series 가게 2 row 136: promo must be known for the 6 points after the last y, rows are there for "
        "4; add rows with y empty"
    )
    kept = ahead(short, on_fault="leave_out", left_out={"future covariates missing": 1})
    assert "가게 2" not in kept.ids and len(kept) == 5
    whole = ahead(frame.filter(pl.col("unique_id") != "가게 2"))
    np.testing.assert_array_equal(of(kept).future, of(whole).future)
    with pytest.raises(UserError, match="series 가게 1 row 90: covariate promo is missing"):
        ahead(spoil("promo", None, row=90, frame=frame))


def test_static_covariates_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    own = promotions().group_by("unique_id").agg(pl.col("size").first()).sort("unique_id")
    own.write_csv(tmp_path / "shops.csv")
    frame = promotions().drop("size")
    panel = load(tmp_path, frame, static_file="shops.csv")
    np.testing.assert_array_equal(of(panel.sets("history")[0]).static_NS[:, 0], own["size"])
    own.head(5).write_csv(tmp_path / "shops.csv")
    with pytest.raises(UserError, match="series 가게 5 row 601: static covariate size is missing"):
        load(tmp_path, frame, static_file="shops.csv")
    pl.concat([own, own.head(1)]).write_csv(tmp_path / "shops.csv")
    with pytest.raises(UserError, match=r"shops.csv: row 1: series 가게 0 is there twice"):
        load(tmp_path, frame, static_file="shops.csv")


def test_columns_of_a_wide_file_stand_beside_each_series(tmp_path: Path) -> None:
    hours = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i) for i in range(60)]
    table = pl.DataFrame({"date": hours, "HUFL": np.arange(60.0), "OT": 100 + np.arange(60.0), "LULL": 1.5})
    table.write_csv(tmp_path / "ETTh1.csv")
    values = {
        "name": "ett",
        "frequencies": {"hourly": {"step": "1h", "horizon": 4, "seasonality": 24}},
        "covariates": {"past": ["HUFL"]},
    }
    history = ETTConfig.parse(values, "panel").load(tmp_path).sets("history")[0]
    assert history.ids == ("LULL", "OT")
    np.testing.assert_array_equal(of(history).past_LP[:, 0], np.tile(np.arange(56.0), 2))
    only = ETTConfig.parse({**values, "series": ["OT"]}, "panel").load(tmp_path).sets("history")[0]
    assert only.ids == ("OT",) and only.values[0] == 100
    with pytest.raises(UserError, match="column HUFL is a series and a covariate"):
        ETTConfig.parse({**values, "series": ["HUFL"]}, "panel")


def test_a_panel_without_covariates_has_none(tmp_path: Path) -> None:
    panel = load(tmp_path, promotions(), covariates={})
    assert panel.sets("history")[0].covariates is None
    assert set(Windows(panel.sets("history")[0], lookback=3).at_end()) == {
        *("insample", "insample_mask", "outsample", "outsample_mask", "naive_scale", "scale")
    }


def test_names_of_ours_are_free_for_users() -> None:
    """Columns that a gathering makes for itself do not meet a covariate of that name."""
    frame = rows("a", "yearly", [float(i) for i in range(10)])
    frame = frame.with_columns(place=pl.lit(3.0) + pl.int_range(pl.len()), anchor=1.0)
    given = CovariatesConfig.parse({"past": ["place"], "static": ["anchor"]}, "x")
    from tests.forecasting.panels import config as plain

    frequencies = plain(frequencies=ONE).frequencies
    sets, _ = gather([frame], Rules(frequencies, covariates=given), sieve=Sieve("x", "refuse"))
    assert of(sets[0]).past_LP[:, 0].tolist() == [float(i) for i in range(3, 13)]
    found = hashlib.sha256()
    of(sets[0]).digest(found)
    assert str(given) == "past=[place] static=[anchor]" and FREQUENCIES


def test_the_calendar_is_known_ahead_and_counts_its_own_periods(tmp_path: Path) -> None:
    """Against the dates of each point: January 2024 began on a Monday, and the year was a leap year."""
    panel = load(tmp_path, promotions(series=2), covariates={"calendar": ["weekday", "day", "month"]})
    history = panel.sets("history")[0]
    given = of(history)
    assert given.config.ahead == (
        "weekday_cos",
        "weekday_sin",
        "day_cos",
        "day_sin",
        "month_cos",
        "month_sin",
    )
    assert given.future.shape == (2 * (114 + HORIZON), 6) and np.isfinite(given.future).all()
    for place in (0, 1, 6, 7, 30, 31, 59, 60, 119):
        date = datetime.date(2024, 1, 1) + datetime.timedelta(days=place)
        lengths = (31, 29, 31, 30, 31)
        shares = np.asarray(
            [date.weekday() / 7, (date.day - 1) / lengths[date.month - 1], (date.month - 1) / 12]
        )
        for number in range(2):
            row = given.future[number * (114 + HORIZON) + place]
            np.testing.assert_allclose(row[::2], np.cos(2 * np.pi * shares), atol=1e-12)
            np.testing.assert_allclose(row[1::2], np.sin(2 * np.pi * shares), atol=1e-12)


def test_hours_are_those_of_the_day_and_integers_have_no_calendar() -> None:
    hours = [datetime.datetime(2024, 2, 28, 22) + datetime.timedelta(hours=i) for i in range(20)]
    frame = pl.DataFrame({"unique_id": "a", "ds": hours, "y": np.arange(20.0)})
    frequencies = {"hourly": {"step": "1h", "horizon": 4, "seasonality": 24}}
    covariates = CovariatesConfig.parse({"calendar": ["hour", "day"]}, "x")
    rules = Rules(config(frequencies=frequencies).frequencies, covariates=covariates, needs_test=False)
    sets, _ = gather([frame], rules, sieve=Sieve("x", "refuse"))
    times = [*hours, *[hours[-1] + datetime.timedelta(hours=i) for i in range(1, 5)]]
    angles = (
        2
        * np.pi
        * np.asarray([[time.hour / 24, (time.day - 1) / (29 if time.month == 2 else 31)] for time in times])
    )
    np.testing.assert_allclose(of(sets[0]).future[:, [0, 2]], np.cos(angles), atol=1e-12)
    np.testing.assert_allclose(of(sets[0]).future[:, [1, 3]], np.sin(angles), atol=1e-12)
    counted = {"one": {"step": "1i", "horizon": 2, "seasonality": 1}}
    rules = Rules(config(frequencies=counted).frequencies, covariates=covariates)
    with pytest.raises(UserError, match="column ds is Int64, and covariates"):
        gather([frame.with_columns(ds=pl.int_range(20))], rules, sieve=Sieve("x", "refuse"))
