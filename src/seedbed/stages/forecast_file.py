"""forecast: seedbed forecast FILE [key=value ...], a user's own series in one command, in any folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from seedbed.config import Interrupted, Machine, UserError
from seedbed.forecasting.asked import unread, with_future
from seedbed.forecasting.calibration_file import NAME as CALIBRATION
from seedbed.forecasting.direct import TableOptions, forecast_once, matched, saved_advice
from seedbed.forecasting.panels import read_tables
from seedbed.forecasting.panels.sieve import Sieve
from seedbed.forecasting.panels.tables import SUFFIXES, find_files, suffix
from seedbed.forecasting.saved import CARD, WEIGHTS, columns_of, load_forecaster, save_forecaster
from seedbed.workspace import remove

if TYPE_CHECKING:
    import polars as pl

FORECASTS = "forecasts"


class FileOptions(TableOptions):
    """What may be said of a file of series."""

    model: str | None = Field(
        None, description="folder of a saved forecaster: it forecasts, nothing is trained"
    )
    future_file: str | None = Field(
        None,
        description="file of unique_id, ds and the covariates known ahead, where FILE ends with the last y",
    )
    out: str | None = Field(
        None, description="folder for the forecasts; default: <file's name>-forecast here"
    )


def run(root: Path, machine: Machine, arguments: list[str]) -> None:
    """Write forecasts in the format of the file and, unless one was given, the forecaster beside them."""
    name, *words = arguments
    path, verb = Path(name), f"forecast {name}"
    options = FileOptions.parse_words(words, verb)
    out = root / (options.out or f"{path.resolve().stem}-forecast")
    files = find_files(path)
    given = (root, path, *(Path(one) for one in (options.future_file, options.model) if one is not None))
    _check_out(out, reads=given, verb=verb)
    table = options.renamed(_read(path, options), name)
    if options.future_file is not None:
        if options.model is None and not options.future:
            raise UserError(f"{verb}: future_file= needs its columns' names; add future=[NAME,NAME]")
        named = f"{name}, {options.future_file}"
        ahead = options.renamed(_read(Path(options.future_file), options), options.future_file, target=False)
        table, name = with_future(table, ahead, where=named), named
    staging = out.with_name(f".{out.name}.partial")
    remove(staging)
    staging.mkdir(parents=True)
    try:
        if options.model is None:
            alone = machine.model_copy(update={"devices": 1, "num_nodes": 1})
            made = forecast_once(table, options, where=name, machine=alone)
            save_forecaster(staging, made.card, made.fitted, made.calibrations)
            forecasts, lines = made.forecasts, made.lines
        else:
            forecasts, lines = _forecast_saved(table, options, where=name)
        forecasts = options.restored(forecasts)
        target = staging / f"{FORECASTS}{suffix(files[0])}"
        if target.suffix == ".csv":
            zoned = getattr(forecasts.schema[options.time_col], "time_zone", None) is not None
            forecasts.write_csv(target, datetime_format="%Y-%m-%dT%H:%M:%S%:z" if zoned else None)
        else:
            forecasts.write_parquet(target)
        # training takes its time, and a file may have come into the folder since
        _check_out(out, reads=given, verb=verb)
        remove(out)
        os.replace(staging, out)
    except Interrupted:
        # what training saved lies in a folder of this process
        raise Interrupted(f"{verb}: stopped, nothing is written; it begins anew") from None
    finally:
        remove(staging)
    for line in lines:
        print(f"{verb}: {line}")
    shown = out.relative_to(root) if out.is_relative_to(root) else out
    print(f"{verb}: {shown / target.name}, {forecasts.height} rows")
    if options.model is None:
        print(f"{verb}: forecast new series with it: seedbed forecast NEW{suffix(files[0])} model={shown}")


def _forecast_saved(
    table: "pl.DataFrame", options: FileOptions, *, where: str
) -> tuple["pl.DataFrame", list[str]]:
    for key in ("step", "horizon", "seasonality", "levels", "past", "future", "static", "calendar"):
        if getattr(options, key):
            raise UserError(
                f"forecast {where}: {key} is the saved forecaster's own; leave {key}= out, or model="
            )
    saved = load_forecaster(Path(str(options.model)))
    if options.future_file is not None and not saved.card.covariates.future:
        raise UserError(
            f"forecast {where}: the forecaster of {options.model} has no covariates known ahead; leave "
            "future_file= out"
        )
    sieve = Sieve(where, options.on_fault, saved_advice(saved.card.frequencies))
    table = matched(table, saved.card.frequencies, sieve=sieve)
    forecasts, counts = saved.forecast_counted(table, sieve=sieve, gaps=options.gaps)
    lines = [f"{counts.series} series by {saved.card.run} of {options.model}", *counts.lines()]
    lines += unread(table, saved.card.covariates, saved=True)
    return forecasts.select("unique_id", "ds", *columns_of(saved.card.run, forecasts.columns)), lines


def _read(path: Path, options: FileOptions) -> "pl.DataFrame":
    import polars as pl

    return pl.concat(read_tables(path, others=None, id_col=options.id_col, time_col=options.time_col))


def _check_out(out: Path, *, reads: Sequence[Path], verb: str) -> None:
    """What is replaced is a folder of nothing but this command's files, where nothing lies that it reads."""
    for path in reads:
        if path.resolve().is_relative_to(out.resolve()):
            raise UserError(f"{verb}: {out.name} is or holds {path}; give another folder, out=FOLDER")
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{verb}: {out} exists and is no folder; give another name, out=FOLDER")
    other = next((path for path in sorted(out.iterdir()) if not _is_ours(path)), None)
    if other is not None:
        raise UserError(
            f"{verb}: {out} exists and holds {other.name}, which is none of forecasts; give another folder, "
            "out=FOLDER"
        )


def _is_ours(path: Path) -> bool:
    """Whether `run` may have written it."""
    if path.is_dir():
        return path.name == WEIGHTS and all(one.suffix == ".safetensors" for one in path.iterdir())
    return path.name in (*(FORECASTS + suffix for suffix in SUFFIXES), CARD, CALIBRATION)
