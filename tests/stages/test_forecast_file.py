"""forecast FILE: in any folder, one command; the forecaster it leaves forecasts new series later."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from seedbed import __main__ as cli
from seedbed.config import Interrupted
from seedbed.forecasting import default, direct
from seedbed.stages import forecast_file
from tests.forecasting.promotions import HORIZON, promotions
from tests.forecasting.test_direct import SMALL, shop, shops
from tests.stages.conftest import THREAD_VARIABLES


@pytest.fixture(autouse=True)
def anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is no project; the default forecaster small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEEDBED_MACHINE", raising=False)
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(default, "NBEATS", SMALL)


def seedbed(*words: str) -> int:
    return cli.main(["forecast", *words])


def test_a_file_and_then_new_series(capsys: pytest.CaptureFixture[str]) -> None:
    shops(13).write_csv("매출.csv")
    assert seedbed("매출.csv", "max_steps=40") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "forecast 매출.csv: 13 series, monthly, season 12, horizon 18"
    assert told[-1].endswith("seedbed forecast NEW.csv model=매출-forecast")
    made = pl.read_csv("매출-forecast/forecasts.csv", try_parse_dates=True)
    assert made.columns == ["unique_id", "ds", "nbeats", "seasonal_naive"] and made.height == 13 * 18

    shop("새 가게", 40).write_parquet("new.parquet")
    assert seedbed("new.parquet", "model=매출-forecast", "out=later") == 0
    assert capsys.readouterr().out.splitlines() == [
        "forecast new.parquet: 1 series by nbeats of 매출-forecast",
        "forecast new.parquet: later/forecasts.parquet, 18 rows",
    ]
    later = pl.read_parquet("later/forecasts.parquet")
    assert later.columns == ["unique_id", "ds", "nbeats"] and later["nbeats"].is_finite().all()

    # the same series again give what the first command wrote
    assert seedbed("매출.csv", "model=매출-forecast", "out=again") == 0
    again = pl.read_csv("again/forecasts.csv", try_parse_dates=True)
    assert (again["nbeats"] - made["nbeats"]).abs().max() < 1e-9


def test_levels_give_intervals_that_new_series_get_too(capsys: pytest.CaptureFixture[str]) -> None:
    shops(20).write_csv("매출.csv")
    assert seedbed("매출.csv", "max_steps=40", "horizon=3", "levels=[80,95]") == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "intervals of" in line]
    assert len(told) == 1 and told[0].startswith(
        "forecast 매출.csv: monthly: nbeats: intervals of 80 % hold "
    )
    assert told[0].endswith(" % of 60 points held out, by 20 errors before them")
    made = pl.read_csv("매출-forecast/forecasts.csv")
    ends = ["nbeats-lo-80", "nbeats-hi-80", "nbeats-lo-95", "nbeats-hi-95"]
    assert made.columns == ["unique_id", "ds", "nbeats", *ends, "seasonal_naive"]
    assert (made["nbeats-lo-95"] <= made["nbeats-lo-80"]).all() and made["nbeats-hi-95"].is_finite().all()

    assert seedbed("매출.csv", "model=매출-forecast", "out=again") == 0
    again = pl.read_csv("again/forecasts.csv")
    assert again.columns == ["unique_id", "ds", "nbeats", *ends]
    assert all((again[end] - made[end]).abs().max() < 1e-9 for end in ends)

    saved = Path("매출-forecast/calibration.json")
    saved.write_text(saved.read_text().replace("40", "41", 1))
    assert seedbed("매출.csv", "model=매출-forecast", "out=again") == 2
    assert "not the file that forecaster.json was written with" in capsys.readouterr().err


def test_a_folder_of_files_is_written_with_a_slash(capsys: pytest.CaptureFixture[str]) -> None:
    Path("shops").mkdir()
    for number, part in enumerate(shops(2).partition_by("unique_id")):
        part.write_csv(f"shops/{number}.csv")
    assert seedbed("shops/", "horizon=2") == 0
    assert pl.read_csv("shops-forecast/forecasts.csv").height == 4
    assert not list(Path().glob(".*partial"))


def test_several_frequencies_come_back_by_their_steps(capsys: pytest.CaptureFixture[str]) -> None:
    yearly = shop("해마다", 20).with_columns(ds=pl.col("ds").dt.offset_by("0d"))
    yearly = yearly.with_columns(ds=pl.date(2000 + pl.int_range(20), 1, 1))
    pl.concat([shop("달마다", 60), yearly]).write_csv("both.csv")
    assert seedbed("both.csv") == 0
    assert "monthly, season 12, horizon 18; yearly, no season, horizon 6" in capsys.readouterr().out
    yearly.write_csv("one.csv")
    assert seedbed("one.csv", "model=both-forecast") == 0
    assert pl.read_csv("one-forecast/forecasts.csv").height == 6


def test_a_step_that_only_faulty_series_have_is_left_out_with_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 2, 9), eager=True)
    daily = pl.DataFrame({"unique_id": "하루", "ds": days, "y": ["1", "둘", *"34567890" * 4, *"123456"]})
    monthly = shop().with_columns(pl.col("y").cast(pl.String))
    pl.concat([monthly, daily]).write_csv("both.csv")
    assert seedbed("both.csv", "on_fault=leave_out") == 0
    told = capsys.readouterr().out
    assert "1 series left out: y not a number" in told
    assert "daily left out: none of its series could be kept" in told
    made = pl.read_csv("both-forecast/forecasts.csv")
    assert set(made["unique_id"]) == {"가게"}
    daily.write_csv("daily.csv")
    assert seedbed("daily.csv", "on_fault=leave_out") == 2
    assert "no series is daily that could be kept (1 were left out)" in capsys.readouterr().err


def test_files_as_other_systems_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    whole = shop().with_columns(row=pl.lit(1), frequency=pl.lit("weekly"))
    whole.write_csv("T.CSV")
    whole.with_columns(unique_id=pl.lit(7)).write_parquet("T.PARQUET")
    for name in ("T.CSV", "T.PARQUET"):
        assert seedbed(name, "horizon=2", f"out={name[-3:]}") == 0
        told = capsys.readouterr().out
        assert "column not read: frequency; steps are inferred from the dates" in told
        assert "columns not read: row (of the table);" in told
    made = pl.read_csv("CSV/forecasts.csv", try_parse_dates=True)
    other = pl.read_parquet("UET/forecasts.parquet")
    assert made["theta"].to_list() == other["theta"].to_list() and set(other["unique_id"]) == {7}
    assert whole.with_columns(unique_id=7).join(other, on="unique_id").height == 60

    whole.drop("frequency").write_csv("T.CSV")
    assert seedbed("T.CSV", "model=CSV", "out=again") == 0
    Path("wide.csv").write_bytes(whole.write_csv().encode("utf-16"))
    assert seedbed("wide.csv") == 2
    assert "wide.csv: written as UTF-16, or not as text; save it as UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("none.csv",), "none.csv: no such file"),
        (
            ("good.csv", "horizon=ten"),
            "forecast good.csv.horizon: input should be a valid integer, got 'ten'",
        ),
        (("good.csv", "horizon=99"), "the horizon 99 is longer than any series: 가게 has most points, 30"),
        (("good.csv", "horizont=9"), "forecast good.csv.horizont: unknown key; known keys: calendar, future"),
        (("good.csv", "model=nowhere"), "nowhere/forecaster.json: no such file"),
        (("good.csv", "model=saved", "horizon=2"), "horizon is the saved forecaster's own"),
        (("good.csv", "levels=[100]"), "levels.0: input should be less than or equal to 99, got 100"),
        (("good.csv", "model=saved", "levels=[80]"), "levels is the saved forecaster's own"),
        (
            ("good.csv", "levels=[95]"),
            "monthly: level 95 needs at least 19 errors of a backtest at each horizon, the series give 9",
        ),
        (
            ("good.csv", "out=mine"),
            "mine exists and holds letter, which is none of forecasts; give another folder",
        ),
        (("empty.csv",), "empty.csv: not readable as csv"),
        (("header.csv",), "header.csv: no rows"),
        (("twice.csv",), "twice.csv: series 가게 row 31: date 2020-01-01 is there twice"),
        (("words.csv",), "words.csv: series 가게 row 3: y is 'drei', expected a number"),
        (
            ("wide.csv",),
            "wide.csv: no column 'unique_id'; columns: date, a, b; long format has unique_id, ds, y",
        ),
        (("none/",), "no such file"),
        (("shops",), "a folder of files is written with a slash, shops/"),
        (("book.xlsx",), "series come as .csv or .parquet; convert it"),
        (("gone",), "is no project; change into the project's folder"),
        (
            ("good.csv", "step=1w"),
            "or another date at a step of 1w; mend the date or give the step, step=1mo",
        ),
        (("good.csv", "gaps=refuse", "step=1d"), "dates are mostly 31 steps of 1d apart; give the step"),
        (("good.csv", "levels=high"), "forecast good.csv.levels: input should be a valid array, got 'high'"),
    ],
)
def test_every_fault_is_one_line_and_nothing_is_left(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop().write_csv("good.csv")
    Path("mine").mkdir()
    Path("mine/letter").touch()
    Path("shops").mkdir()
    Path("book.xlsx").touch()
    Path("empty.csv").touch()
    Path("header.csv").write_text("unique_id,ds,y\n")
    Path("wide.csv").write_text("date,a,b\n2020-01-01,1,2\n")
    pl.concat([shop(), shop()]).write_csv("twice.csv")
    values = [str(value) for value in shop()["y"]]
    shop().with_columns(pl.Series("y", [*values[:2], "drei", *values[3:]])).write_csv("words.csv")
    assert seedbed(*words) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1 and "Traceback" not in error
    assert not list(Path().glob("*forecast*")) and not list(Path().glob(".*partial"))


def test_a_file_with_columns_of_its_own_names(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("id_col=매장", "time_col=날짜", "target_col=매출")
    frame = shops(2).with_columns(pl.col("unique_id").replace({"가게 0": "001", "가게 1": "002"}))
    frame.rename({"unique_id": "매장", "ds": "날짜", "y": "매출"}).write_csv("매출.csv")
    assert seedbed("매출.csv", "horizon=2", "levels=80", *names) == 0
    made = pl.read_csv("매출-forecast/forecasts.csv", schema_overrides={"매장": pl.String})
    assert made.columns == ["매장", "날짜", "theta", "theta-lo-80", "theta-hi-80", "seasonal_naive"]
    assert made["매장"].to_list() == ["001", "001", "002", "002"]
    assert seedbed("매출.csv", "model=매출-forecast", "out=again", *names) == 0
    assert pl.read_csv("again/forecasts.csv").columns[:2] == ["매장", "날짜"]


def test_dates_with_an_offset_come_back_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    shop().with_columns(pl.format("{}T00:00:00+09:00", "ds").alias("ds")).write_csv("seoul.csv")
    assert seedbed("seoul.csv", "horizon=2") == 0
    assert capsys.readouterr().out.startswith("forecast seoul.csv: 1 series, monthly, season 12, horizon 2")
    found = pl.read_csv("seoul-forecast/forecasts.csv", try_parse_dates=False)["ds"].to_list()
    assert found == ["2022-07-01T00:00:00+09:00", "2022-08-01T00:00:00+09:00"]


def test_a_saved_folder_that_was_spoilt_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    shops(13).write_csv("shops.csv")
    assert seedbed("shops.csv", "max_steps=40") == 0
    capsys.readouterr()
    weights, card = (
        Path("shops-forecast") / name for name in ("members/monthly.safetensors", "forecaster.json")
    )
    whole = weights.read_bytes(), card.read_bytes()
    for path, content, told in (
        (weights, b"\x80\x04", "monthly.safetensors: not readable as safetensors"),
        (card, whole[1][:40], "forecaster.json: not readable as JSON"),
        (card, whole[1].replace(b'"horizon": 18', b'"horizon": 17'), "monthly.safetensors: members."),
    ):
        path.write_bytes(content)
        assert seedbed("shops.csv", "model=shops-forecast", "out=again") == 2
        error = capsys.readouterr().err
        assert told in error and error.count("\n") == 1 and not Path("again").exists()
        weights.write_bytes(whole[0])
        card.write_bytes(whole[1])


def test_a_stop_keeps_nothing_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise Interrupted("forecast monthly: stopped after step 7, state saved")

    monkeypatch.setattr(forecast_file, "forecast_once", stopped)
    shop().write_csv("shop.csv")
    assert seedbed("shop.csv") == 75
    assert "forecast shop.csv: stopped, nothing is written; it begins anew" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["shop.csv"]


def test_what_it_overwrites_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    shop().write_csv("good.csv")
    assert seedbed("good.csv", "horizon=2") == 0
    assert seedbed("good.csv", "horizon=3") == 0
    assert pl.read_csv("good-forecast/forecasts.csv").height == 3
    assert seedbed("good.csv", "model=good-forecast") == 2
    assert "good-forecast is or holds good-forecast; give another folder" in capsys.readouterr().err
    shutil.rmtree("good-forecast/members", ignore_errors=True)
    assert seedbed("good.csv", "model=good-forecast", "out=x") == 0, "theta keeps no weights"


def test_a_folder_of_the_users_is_never_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    def holds(*names: str) -> None:
        shutil.rmtree("results", ignore_errors=True)
        Path("results/saved").mkdir(parents=True)
        Path("results/saved/forecaster.json").touch()
        shop().write_csv("results/sales.csv")
        for name in names:
            Path("results", name).parent.mkdir(exist_ok=True)
            Path("results", name).write_text("mine")

    shop().write_csv("good.csv")
    for names, words, told in (
        (
            ("forecasts.xlsx", "thesis.tex"),
            ("results/sales.csv", "out=results"),
            "is or holds results/sales.csv",
        ),
        ((), ("results/", "out=results"), "results is or holds results"),
        ((), ("good.csv", "model=results/saved", "out=results"), "is or holds results/saved"),
        ((), ("good.csv", "future_file=results/sales.csv", "out=results"), "is or holds results/sales.csv"),
        (("forecasts.csv",), ("good.csv", "out=results"), "holds sales.csv, which is none of forecasts"),
        ((), ("good.csv", "out=."), "give another folder"),
        ((), ("good.csv", "out=.."), "give another folder"),
        ((), ("good.csv", "out=good.csv"), "good.csv is or holds good.csv"),
        ((), ("good.csv", "out=results/sales.csv"), "results/sales.csv exists and is no folder"),
    ):
        holds(*names)
        before = sorted(Path().rglob("*"))
        assert seedbed(*words) == 2
        assert told in capsys.readouterr().err and sorted(Path().rglob("*")) == before
    for name in ("forecasts.xlsx", "members/letter.txt", "members.txt"):
        shutil.rmtree("results")
        Path("results", name).parent.mkdir(parents=True)
        Path("results/forecasts.csv").touch()
        Path("results", name).touch()
        assert seedbed("good.csv", "out=results") == 2
        assert "which is none of forecasts" in capsys.readouterr().err and Path("results", name).exists()


def test_what_comes_into_the_folder_meanwhile_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def slowly(*words: object, **options: object) -> direct.Outcome:
        Path("good-forecast/letter").touch()
        return direct.forecast_once(*words, **options)  # type: ignore[arg-type]

    shop().write_csv("good.csv")
    assert seedbed("good.csv", "horizon=2") == 0
    monkeypatch.setattr(forecast_file, "forecast_once", slowly)
    assert seedbed("good.csv", "horizon=3") == 2
    assert "good-forecast exists and holds letter" in capsys.readouterr().err
    assert pl.read_csv("good-forecast/forecasts.csv").height == 2 and Path("good-forecast/letter").exists()


def test_covariates_are_needed_again(capsys: pytest.CaptureFixture[str]) -> None:
    whole = promotions(series=3, length=50, ahead=HORIZON)
    whole.write_csv("매출.csv")
    words = ("future=[promo]", "past=visits", "max_steps=40")
    assert seedbed("매출.csv", *words) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[1] == "forecast 매출.csv: covariates past=[visits] future=[promo]"
    assert any("columns not read: size" in line for line in told)
    made = pl.read_csv("매출-forecast/forecasts.csv")
    assert made.height == 3 * HORIZON

    # the rows ahead in a file of their own give the same, in training and with the saved one
    whole.filter(pl.col("y").is_not_null()).write_csv("known.csv")
    whole.filter(pl.col("y").is_null()).select("unique_id", "ds", "promo").write_csv("plan.csv")
    assert seedbed("known.csv", *words, "future_file=plan.csv", "out=apart") == 0
    assert pl.read_csv("apart/forecasts.csv").equals(made)
    assert seedbed("known.csv", "model=매출-forecast", "future_file=plan.csv", "out=again") == 0
    again = pl.read_csv("again/forecasts.csv")
    assert (again["nbeats"] - made["nbeats"]).abs().max() < 1e-9
    capsys.readouterr()

    for change, more, message in (
        (
            whole.drop("promo"),
            (),
            "no column 'promo'; the saved forecaster nbeats was trained with covariates",
        ),
        (whole, ("future=[promo]",), "future is the saved forecaster's own"),
        (whole.filter(pl.col("y").is_not_null()), (), "row 50: promo must be known for the 6 points after"),
    ):
        change.write_csv("new.csv")
        assert seedbed("new.csv", "model=매출-forecast", "out=more", *more) == 2
        error = capsys.readouterr().err.strip()
        assert message in error and "\n" not in error


def test_a_future_file_needs_the_names_of_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    shops(2).write_csv("매출.csv")
    assert seedbed("매출.csv", "future_file=plan.csv") == 2
    assert "future_file= needs its columns' names; add future=[NAME,NAME]" in capsys.readouterr().err
