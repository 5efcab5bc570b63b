"""Panels: parts without leakage, gaps kept, and every fault as one line with series and row, or counted."""

import datetime
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed.config import UserError
from seedbed.corpora import TestSplit
from seedbed.forecasting import LongConfig
from seedbed.forecasting.calendar import DAY, Step
from seedbed.forecasting.fitting import Forecasts
from seedbed.forecasting.panels import FrequencyConfig, Rules, SeriesSet, gather, read_tables, show, to_time
from seedbed.forecasting.panels.sieve import Sieve
from seedbed.forecasting.saved import forecast_table
from tests.forecasting.panels import FREQUENCIES, config, load, rows, table

KEY = TestSplit("a test")
ONE = {"yearly": FREQUENCIES["yearly"]}


def test_parts_are_cut_by_the_horizon(tmp_path: Path) -> None:
    panel = load(tmp_path, table())
    yearly_train, quarterly_train = panel.sets("train")
    yearly_history, _ = panel.sets("history")
    assert yearly_train.ids == ("y0", "y1", "y2", "y3") and quarterly_train.ids == ("q0", "q1")
    assert yearly_train.lengths.tolist() == [2, 6, 24, 34]
    assert yearly_history.lengths.tolist() == [5, 9, 27, 37]
    assert panel.valid()[0].lengths.tolist() == [3] * 4
    assert panel.seasonality == {"yearly": 1, "quarterly": 4}
    whole = pl.concat([panel.history, panel.test(KEY)]).sort("unique_id", "ds")
    assert whole.equals(table().sort("unique_id", "ds"))
    joined = np.concatenate([yearly_train.series(1), panel.valid()[0].series(1)])
    assert joined.tolist() == yearly_history.series(1).tolist()


def test_nothing_but_the_key_reaches_the_test_part(tmp_path: Path) -> None:
    panel = load(tmp_path, table(spike=1e6))
    for part in (*panel.sets("train"), *panel.sets("history"), *panel.valid()):
        # its arrays are copies: not even their bases hold the spike
        base = part.values if part.values.base is None else part.values.base
        assert np.abs(base).max() < 1e5
    assert panel.history["y"].max() < 1e5
    assert (panel.test(KEY)["y"] > 9e5).all()
    with pytest.raises(AssertionError):
        panel.test("please")  # type: ignore[arg-type]


def test_series_may_be_mixed_and_other_columns_are_not_read(tmp_path: Path) -> None:
    mixed = table().sort("ds", "unique_id").with_columns(pl.lit("x").alias("note"))
    assert load(tmp_path, mixed).history.equals(load(tmp_path, table()).history)


def test_csv_and_parquet_give_the_same_panel(tmp_path: Path) -> None:
    table().write_csv(tmp_path / "series.csv")
    from_csv = config(file="series.csv").load(tmp_path)
    assert from_csv.history.equals(load(tmp_path, table()).history)


def test_a_users_csv_of_one_frequency_needs_no_frequency_column(tmp_path: Path) -> None:
    lines = ["unique_id,ds,y", *(f"7,{day},{day}" for day in range(1, 12))]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    frequencies = {"counted": {"step": "1i", "horizon": 2, "seasonality": 1}}
    panel = LongConfig.parse({"name": "long", "file": "mine.csv", "frequencies": frequencies}, "panel").load(
        tmp_path
    )
    assert panel.test(KEY).rows() == [("7", 10, 10.0, "counted"), ("7", 11, 11.0, "counted")]


def spoiled(**changed: Any) -> pl.DataFrame:
    """One yearly series of ten years with columns replaced."""
    frame = rows("a", "yearly", [float(i) for i in range(10)])
    return frame.with_columns(pl.Series(name, values) for name, values in changed.items())


def dates(*replaced: tuple[int, int]) -> list[datetime.date]:
    years = list(range(1990, 2000))
    for place, year in replaced:
        years[place] = year
    return [datetime.date(year, 1, 1) for year in years]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (spoiled(ds=dates((5, 1994))), "series a row 6: date 1994-01-01 is there twice"),
        (spoiled(ds=dates((5, 1992))), "series a row 6: date 1992-01-01 is there twice"),
        (spoiled(ds=dates((0, 1995), (5, 1990))), "series a row 2: date 1991-01-01 comes after 1995-01-01"),
        (
            spoiled(ds=[*dates()[:9], datetime.date(1999, 7, 1)]),
            "series a row 10: date 1999-07-01, expected 1999-01-01 or another date at a step of 1y",
        ),
        (
            spoiled(ds=dates((9, 9999))),
            "series a row 10: 8000 dates are absent before it at a step of 1y, and most points",
        ),
        (
            spoiled(ds=dates(*((place, 1990 + 2 * place) for place in range(10)))),
            "series a: dates are mostly 2 steps of 1y apart; correct panel.frequencies.yearly.step",
        ),
        (spoiled(y=[*"0123", "vier", *"56789"]), "series a row 5: y is 'vier', expected a number"),
        (spoiled(y=[0.0, float("inf"), *range(2, 10)]), "series a row 2: y is inf"),
        (
            spoiled(y=[0.0, 1e300, -1.01e300, *range(3, 10)]),
            "series a row 3: y is -1.01e+300, expected at most 1e+300",
        ),
        (spoiled(y=[None] * 10), "series a has no value at all"),
        (spoiled(y=[float("nan")] * 10), "series a has no value at all"),
        (spoiled(unique_id=[*"aaaa", None, *"aaaaa"]), "row 5: unique_id is empty"),
        (spoiled(ds=[f"year {i}" for i in range(10)]), "series a row 1: ds 'year 0' is no date"),
        (spoiled(ds=[float(i) for i in range(10)]), "ds 0.0 is Float64, expected dates"),
        (spoiled(ds=[*map(str, dates()[:4]), "soon", *map(str, dates()[5:])]), "row 5: ds 'soon' is no date"),
        (spoiled(ds=[None, *dates()[1:]]), "series a row 1: ds is empty"),
        (spoiled(y=[True] * 10), "column y is Boolean, expected numbers"),
        (spoiled(ds=list(range(10))), "column ds is Int64, but the step of yearly is 1y"),
        (spoiled(ds=[19900101 + 10000 * i for i in range(10)]), "row 1: ds 19900101 looks like a date"),
        (spoiled(ds=[199001 + i for i in range(10)]), "row 1: ds 199001 looks like a date"),
        (
            spoiled(frequency=["daily"] * 10),
            "series a row 1: frequency 'daily'; panel.frequencies has",
        ),
        (spoiled().head(4), "series a has most points, 4, and 5 are needed; shorten the horizon"),
        (
            pl.concat([spoiled(), rows("b", "yearly", [1.0, 2, 3, 4])]),
            "series b has 4 points; the horizon 3 of yearly needs at least 5: the test part and 2 to learn from "
            "(1 such series)",
        ),
        (
            spoiled(y=[None] * 6 + [1.0, 2, 3, 4]),
            "series a has 10 points, 1 known before the test part; the horizon 3",
        ),
        (spoiled().drop("y"), "no column 'y'; columns: unique_id, ds, frequency"),
        (spoiled().clear(), "no rows"),
    ],
)
def test_faults_are_told_in_one_line(frame: pl.DataFrame, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, frame, frequencies=ONE)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert "series.parquet" in str(caught.value)


def test_missing_values_and_rows_are_kept_as_gaps_and_counted(tmp_path: Path) -> None:
    whole = rows("a", "yearly", [float(i) for i in range(10)])
    holes = whole.with_columns(y=pl.when(pl.col("y") == 2).then(float("nan")).otherwise(pl.col("y")))
    holes = pl.concat([holes.filter(~pl.col("y").is_in([4.0, 5.0])), rows("b", "yearly", [1.0] * 12)])
    panel = load(tmp_path, holes, frequencies=ONE)
    (history,) = panel.sets("history")
    np.testing.assert_equal(history.series(0), [0, 1, np.nan, 3, np.nan, np.nan, 6])
    assert (history.instants.reshape(-1)[:7] == history.dates(0)).all()
    assert history.known().tolist() == [4, 9]
    assert panel.history["y"].to_list()[:7] == [0.0, 1.0, None, 3.0, None, None, 6.0]
    assert panel.history["ds"].to_list()[:7] == dates()[:7]
    counts = panel.counts
    assert (counts.series, counts.points, counts.missing, counts.absent_rows) == (2, 22, 3, 2)
    assert panel.lines() == ["3 of 22 points have no value (2 of them no row): kept as gaps"]


def test_a_bridged_gap_takes_the_value_a_season_before(tmp_path: Path) -> None:
    values = [None, None, 1.0, 2, None, 4, 5, None, None, None, None, 6, 7, 8, 9, 10]
    series = load(
        tmp_path, rows("q", "quarterly", values), frequencies={"quarterly": FREQUENCIES["quarterly"]}
    )
    (history,) = series.sets("history")
    assert history.bridged(0).tolist() == [1, 2, 2, 4, 5, 2, 2, 4, 5, 6]
    assert np.isnan(history.series(0)).sum() == 7, "the set keeps its gaps"
    assert history.last_known(0) == 6


def test_a_gap_bridges_no_other_gap_but_a_long_one_keeps_its_season() -> None:
    config = FrequencyConfig(step="1i", horizon=1, seasonality=3)
    week = [[1.0, 2, np.nan], [3.0, 4, np.nan], [5.0, np.nan, np.nan], [np.nan, np.nan]]
    series = SeriesSet.counted("x", config, ["periodic", "nothing"], [np.concatenate(week), [np.nan] * 4])
    assert series.bridged(0).tolist() == [1, 2, 2, 3, 4, 4, 5, 4, 4, 5, 4]
    assert series.last_known(0) == 5
    assert np.isnan(series.bridged(1)).all() and np.isnan(series.last_known(1))


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (spoiled(y=[None, *range(1, 10)]), "series a row 1: y is missing; fill the gap"),
        (spoiled(y=[0.0, float("nan"), *range(2, 10)]), "series a row 2: y is missing"),
        (
            spoiled().filter(pl.col("y") != 4),
            "series a row 5: date 1995-01-01, expected 1994-01-01 at a step of 1y",
        ),
    ],
)
def test_gaps_are_refused_where_the_panel_says_so(frame: pl.DataFrame, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, frame, frequencies=ONE, gaps="refuse")
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_faulty_series_are_left_out_only_if_asked_and_counted(tmp_path: Path) -> None:
    def named(name: str, frame: pl.DataFrame) -> pl.DataFrame:
        text = pl.col("y").cast(pl.String), pl.col("ds").cast(pl.String)
        return frame.with_columns(pl.lit(name).alias("unique_id"), *text)

    words = rows("w", "yearly", [1.0] * 10).with_columns(pl.Series("y", [*"12345", "six", *"7890"]))
    frame = pl.concat(
        [
            named("good", spoiled()),
            named("words", words),
            named("twice", spoiled(ds=dates((5, 1994)))),
            named("again", spoiled(ds=dates((5, 1992)))),
            named("back", spoiled(ds=dates((0, 1995), (5, 1990)))),
            named("off", spoiled(ds=[*dates()[:9], datetime.date(1999, 7, 1)])),
            named("short", spoiled().head(4)),
            named("none", spoiled(y=pl.Series([None] * 10, dtype=pl.Float64))),
            named("endless", spoiled(y=[float("inf"), *range(9)])),
            named("other", spoiled(frequency=["daily"] * 10)),
        ]
    )
    panel = load(tmp_path, frame, frequencies=ONE, on_fault="leave_out")
    assert panel.sets("history")[0].ids == ("good",)
    assert panel.counts.left_out == {
        "y not a number": 1,
        "a date twice": 2,
        "dates out of order": 1,
        "a date off the step": 1,
        "too short": 1,
        "no value at all": 1,
        "y infinite": 1,
        "frequency unknown": 1,
    }
    assert "2 series left out: a date twice" in panel.lines()
    with pytest.raises(UserError, match=r"no series is yearly that could be kept \(1 were left out\)"):
        load(tmp_path, frame.filter(pl.col("unique_id") == "words"), frequencies=ONE, on_fault="leave_out")


def test_series_too_short_for_a_valid_part_go_without(tmp_path: Path) -> None:
    frame = pl.concat(
        [spoiled(), rows("b", "yearly", [1.0, 2, 3, 4, 5, 6, 7]), rows("c", "yearly", [1.0] * 8)]
    )
    panel = load(tmp_path, frame, frequencies=ONE)
    assert panel.sets("history")[0].ids == ("a", "b", "c")
    assert panel.sets("train")[0].ids == panel.valid()[0].ids == ("a", "c")
    assert panel.without_valid == {"yearly": 1}
    assert panel.lines() == ["1 series of yearly are too short for a valid part: they are not scored on one"]
    alone = load(tmp_path, frame.filter(pl.col("unique_id") == "b"), frequencies=ONE)
    assert len(alone.sets("train")[0]) == len(alone.valid()[0]) == 0


def test_on_disk_a_panel_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seedbed.forecasting.panels.series.COPIED_POINTS", 25)
    monkeypatch.setattr("seedbed.forecasting.panels.tables.PIECE_ROWS", 30)
    mixed = table().sample(fraction=1.0, shuffle=True, seed=3).sort("ds")
    mixed.write_parquet(tmp_path / "series.parquet", row_group_size=20)
    there = config().load(tmp_path, scratch=tmp_path / "scratch")
    here = load(tmp_path, table())
    pairs = [
        (a, b)
        for part in ("train", "history")
        for a, b in zip(here.sets(part), there.sets(part), strict=True)  # type: ignore[arg-type]
    ]
    for a, b in [*pairs, *zip(here.valid(), there.valid(), strict=True)]:
        assert a.ids == b.ids and (a.values == b.values).all() and (a.instants == b.instants).all()
        assert isinstance(b.values, np.memmap) and not b.values.flags.writeable
    assert there.test(KEY).equals(here.test(KEY))
    assert list((tmp_path / "scratch").iterdir()) == [], "its files have no names: nothing stays behind"


def test_a_table_is_gone_before_the_next_is_read() -> None:
    """Else two pieces of a large file are in memory."""
    alive: list[weakref.ref[pl.DataFrame]] = []

    def tables() -> Iterator[pl.DataFrame]:
        for number in range(3):
            assert all(one() is None for one in alive)
            made = rows(f"y{number}", "yearly", [float(i) for i in range(8)])
            alive.append(weakref.ref(made))
            yield made
            del made

    rules = Rules({"yearly": FrequencyConfig.parse(FREQUENCIES["yearly"], "frequencies")})
    [one], counts = gather(tables(), rules, sieve=Sieve("a test", "refuse"))
    assert len(alive) == len(one) == counts.series == 3


def test_a_folder_of_files_is_one_panel(tmp_path: Path) -> None:
    for suffix in ("csv", "parquet"):
        folder = tmp_path / suffix
        folder.mkdir()
        for number, part in enumerate(table().partition_by("unique_id")):
            write = part.write_csv if suffix == "csv" else part.write_parquet
            write(folder / f"{number}.{suffix}")
        panel = config(file=suffix).load(tmp_path)
        assert panel.history.equals(load(tmp_path, table()).history)
    (tmp_path / "csv/x.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"both 0\.csv and x\.parquet; keep one format"):
        config(file="csv").load(tmp_path)


def test_korean_names_and_huge_negative_and_constant_values_pass(tmp_path: Path) -> None:
    frame = pl.concat(
        [
            rows("서울 매출", "yearly", [-1e300, 1e300, *[-5.0] * 8]),
            rows("부산 매출", "yearly", [7.0] * 10),
        ]
    )
    (history,) = load(tmp_path, frame, frequencies=ONE).sets("history")
    assert history.ids == ("부산 매출", "서울 매출")
    assert history.series(1)[:2].tolist() == [-1e300, 1e300]


def test_frequencies_are_checked(tmp_path: Path) -> None:
    mixed = spoiled(frequency=["yearly"] * 9 + ["quarterly"])
    with pytest.raises(UserError, match=r"series a has frequencies quarterly, yearly; give it one"):
        load(tmp_path, mixed)
    with pytest.raises(UserError, match="no series is quarterly"):
        load(tmp_path, spoiled())
    with pytest.raises(UserError, match="no column 'frequency', but the panel has yearly, quarterly"):
        load(tmp_path, spoiled().drop("frequency"))
    with pytest.raises(UserError, match="step"):
        config(frequencies={"yearly": {"step": "1 year", "horizon": 3, "seasonality": 1}})


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        config().load(tmp_path)
    (tmp_path / "series.parquet").write_bytes(b"PAR1 is not enough")
    with pytest.raises(UserError, match="not readable as parquet"):
        config().load(tmp_path)
    for content, told in (
        ("unique_id,ds,y\n가게,2020-01-01,1\n".encode("cp949"), r"series\.csv: .*; save it as UTF-8"),
        (b"unique_id,ds,y\na,2020-01-01,1\na,2020-02-01,1,5\n", "row 2 has 4 fields, the header 3; mend"),
        (b"unique_id;ds;y\na;2020-01-01;1\n", "no column 'unique_id'.*; the fields of a row are parted by"),
    ):
        (tmp_path / "series.csv").write_bytes(content)
        with pytest.raises(UserError, match=told):
            config(file="series.csv").load(tmp_path)
    with pytest.raises(UserError, match="csv or"):
        config(file="series.xlsx").load(tmp_path)


def test_the_files_of_a_folder_have_the_same_columns_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("y,unique_id,ds\n2,b,2020-01-01\n")
    (tmp_path / "a.csv").write_text("unique_id,ds,y\na,2020-01-01,1\n")
    assert next(read_tables(tmp_path)).select("unique_id", "y").rows() == [("a", 1), ("b", 2)]
    (tmp_path / "b.csv").write_text("unique_id,ds,sales\nb,2020-01-01,2\n")
    with pytest.raises(
        UserError, match=r"b\.csv: columns unique_id, ds, sales, but a\.csv has unique_id, ds, y"
    ):
        list(read_tables(tmp_path))


def zoned(*dates: str, zone: str, step: str) -> pl.DataFrame:
    """A series that forecasts nothing: what the panel makes of its dates."""
    ds = pl.Series([datetime.datetime.fromisoformat(date) for date in dates]).dt.replace_time_zone(zone)
    frame = pl.DataFrame({"unique_id": "a", "ds": ds, "y": [float(i) for i in range(len(ds))]})
    frequencies = {"own": FrequencyConfig(step=step, horizon=1, seasonality=1)}
    sets, _ = gather([frame], Rules(frequencies, needs_test=False), sieve=Sieve("x", "refuse"))
    return forecast_table(sets[0], Forecasts(np.zeros((1, 1))), column="f")


@pytest.mark.parametrize(
    ("dates", "zone", "step", "ahead"),
    [
        # month ends in Seoul are the day before in UTC, and no month ends
        (("2024-01-31", "2024-02-29", "2024-03-31"), "Asia/Seoul", "1mo", "2024-04-30T00:00:00+09:00"),
        # a day of 23 hours
        (("2024-03-29", "2024-03-30", "2024-03-31"), "Europe/Berlin", "1d", "2024-04-01T00:00:00+02:00"),
        # hours go on where the clock leaves one out
        (("2024-03-31 00:00", "2024-03-31 01:00"), "Europe/Berlin", "1h", "2024-03-31T03:00:00+02:00"),
        # a day without midnight, by an hour and by half of one; what comes after keeps to midnight
        (("2024-09-06", "2024-09-07"), "America/Santiago", "1d", "2024-09-08T01:00:00-03:00"),
        (("2024-09-07", "2024-09-08 01:00"), "America/Santiago", "1d", "2024-09-09T00:00:00-03:00"),
        (("2011-10-01 02:10", "2011-10-02 02:30"), "Australia/Lord_Howe", "1d", "2011-10-03T02:10:00+11:00"),
        (("2024-07-01", "2024-08-01"), "America/Santiago", "1mo", "2024-09-01T00:00:00-04:00"),
    ],
)
def test_days_are_those_of_the_time_zone_and_hours_those_of_utc(
    dates: tuple[str, ...], zone: str, step: str, ahead: str
) -> None:
    found = zoned(*dates, zone=zone, step=step)["ds"]
    assert found.dtype == pl.Datetime("us", zone)
    assert found[0].isoformat() == ahead


def test_a_day_without_midnight_goes_there_and_back() -> None:
    zone = "America/Santiago"
    days = pl.date_range(datetime.date(2024, 9, 1), datetime.date(2024, 9, 30), eager=True).cast(
        pl.Datetime("us")
    )
    time, step = pl.Datetime("us", zone), Step.parse("1d")
    found = to_time(days.cast(pl.Int64).to_numpy(), time, step)
    assert found.null_count() == 0 and found.dt.date().equals(days.cast(pl.Date).rename("ds"))
    assert (found.dt.hour() != 0).arg_true().to_list() == [7]
    assert show(int(days.cast(pl.Int64)[7]), time, step) == "2024-09-08 01:00:00-03:00"
    with pytest.raises(
        UserError, match="date 2024-09-08 02:00:00-03:00, expected 2024-09-08 01:00:00-03:00 or"
    ):
        zoned("2024-09-07", "2024-09-08 02:00", zone=zone, step="1d")
    # Samoa left out a whole day
    left_out = to_time(np.asarray([15338, 15339]) * DAY, pl.Datetime("us", "Pacific/Apia"), step)
    assert left_out.is_null().to_list() == [True, False]


def test_one_offset_in_a_csv_is_its_time_zone(tmp_path: Path) -> None:
    written = "unique_id,ds,y\n" + "".join(f"a,2024-0{month}-01T00:00:00{{}},1\n" for month in range(1, 5))
    for offset, zone in (
        ("+09:00", "Etc/GMT-9"),
        ("-0500", "Etc/GMT+5"),
        ("+00:00", "UTC"),
        ("+05:30", "UTC"),
    ):
        (tmp_path / "a.csv").write_text(written.format(offset, offset, offset, offset))
        found = next(read_tables(tmp_path / "a.csv"))["ds"]
        assert found.dtype == pl.Datetime("us", zone), offset
        assert found[0] == datetime.datetime.fromisoformat(f"2024-01-01T00:00:00{offset}")


def test_a_set_made_in_code_counts_its_time() -> None:
    config = FrequencyConfig(step="2i", horizon=1, seasonality=1)
    made = SeriesSet.counted("counted", config, ("a", "b"), [[1.0, 2], np.arange(3.0)])
    assert made.instants.tolist() == [0, 2, 0, 2, 4] and made.ahead().tolist() == [[4], [6]]
    assert made.last(2).frame().rows() == [
        ("a", 0, 1.0, "counted"),
        ("a", 2, 2.0, "counted"),
        ("b", 2, 1.0, "counted"),
        ("b", 4, 2.0, "counted"),
    ]


def test_known_points_are_those_of_the_part_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As counted in a copy of that part, for series shorter than what is left out and empty ones too."""
    monkeypatch.setattr("seedbed.forecasting.panels.series.COPIED_POINTS", 12)
    rng = np.random.default_rng(0)
    values = [np.where(rng.random(n) < 0.4, np.nan, 1.0) for n in (5, 0, 9, 2, 12, 0, 3, 1)]
    one = SeriesSet.counted("daily", FrequencyConfig(step="1i", horizon=1, seasonality=1), "abcdefgh", values)
    for last in (0, 1, 3, 20):
        expected = [int(np.isfinite(own[: max(0, len(own) - last)]).sum()) for own in values]
        assert one.known(before_last=last).tolist() == expected
        assert one.without_last(last).known().tolist() == expected
