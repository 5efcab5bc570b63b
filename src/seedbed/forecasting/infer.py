"""What a table of series does not say: its step, its season, and how far it is forecast when nobody says.

The step is the commonest distance between neighbouring dates of a series; series of different steps become
frequencies of one panel. Horizons of the common steps are M4's (Makridakis et al. 2020), and so are seasons,
but for days and weeks: M4 gives them none, here they are a week and a year.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from seedbed.config import UserError
from seedbed.forecasting.calendar import DAY, MICROSECONDS, Step
from seedbed.forecasting.panels import FrequencyConfig

if TYPE_CHECKING:
    import polars as pl

NAMES = {
    "1y": "yearly",
    "3mo": "quarterly",
    "1mo": "monthly",
    "1w": "weekly",
    "1d": "daily",
    "1h": "hourly",
}
HORIZONS = {"1y": 6, "3mo": 8, "1mo": 18, "1w": 13, "1d": 14, "1h": 48}
SEASONS = {"1y": 1, "3mo": 4, "1mo": 12, "1w": 52, "1d": 7, "1h": 24}
HORIZON = 8
"""Of a step that has no custom; M3's for its other series."""
LONGEST = 96
"""Of steps below an hour a day ahead, but at most this: a day of quarter hours. A day of minutes would be
1,440 points to learn at once, of which the last are far from what anybody asks of minutes."""
SHARE = 3
"""A horizon that nobody gave is at most this part of the usual series."""
MONTH_MICROSECONDS = 28 * DAY


def infer_frequencies(
    table: "pl.DataFrame",
    *,
    where: str,
    step: str | None = None,
    horizon: int | None = None,
    seasonality: int | None = None,
) -> tuple["pl.DataFrame", dict[str, FrequencyConfig]]:
    """The table with a column frequency, and what each frequency is; what is given is not inferred.

    Takes columns unique_id, ds (dates, times or integers) and y in the file's order.
    """
    import polars as pl

    if step is None:
        steps = infer_steps(table, where=where)
    else:
        steps = table.select("unique_id").unique().with_columns(step=pl.lit(step))
    named = steps.with_columns(pl.col("step").replace(NAMES).alias("frequency"))
    table = table.drop("frequency", strict=False).join(
        named, on="unique_id", how="left", maintain_order="left"
    )
    frequencies = {}
    lengths = table.group_by("unique_id", "frequency", "step").len()
    sizes = lengths.group_by("frequency", "step").agg(pl.col("len").median(), pl.len().alias("count"))
    for name, text, usual, _ in sizes.sort("count", "frequency", descending=[True, False]).iter_rows():
        most = max(1, int(usual) // SHARE)
        frequencies[name] = FrequencyConfig(
            step=text,
            horizon=horizon or min(HORIZONS.get(text, max(HORIZON, min(_season(text), LONGEST))), most),
            seasonality=seasonality or _season(text),
        )
    return table.drop("step"), frequencies


def infer_steps(table: "pl.DataFrame", *, where: str) -> "pl.DataFrame":
    """unique_id and step of every series; one whose own step is unusual or unknown gets the commonest."""
    import polars as pl

    time = table.schema["ds"]
    instants = pl.col("ds") if time.is_integer() else pl.col("ds").cast(pl.Datetime("us"))
    table = table.select("unique_id", "ds", instant=instants.cast(pl.Int64)).drop_nulls()
    # of a file in descending order too: that it is, the check of the order tells with its row
    apart = pl.col("instant").diff().abs()
    facts = [apart.filter(apart > 0).mode().min().alias("apart"), pl.len().alias("points")]
    if not time.is_integer():
        day, month = pl.col("ds").dt.day(), pl.col("ds").dt.year() * 12 + pl.col("ds").dt.month()
        months = month.cast(pl.Int64).diff().abs()
        # the same day each month, or its end; a month that is too short may cut the day
        steady = (day.n_unique() == 1) | (day.min() >= 28)
        facts.append(pl.when(steady).then(months.filter(months > 0).mode().min()).alias("months"))
    found = table.group_by("unique_id", maintain_order=True).agg(facts)
    if time.is_integer():
        found = found.with_columns(step=pl.format("{}i", "apart"))
    else:
        monthly = pl.col("months").is_not_null() & (pl.col("apart") >= MONTH_MICROSECONDS)
        found = found.with_columns(
            step=pl.when(pl.col("apart").is_null())
            .then(None)
            .when(monthly)
            .then(pl.col("months").map_elements(_months, return_dtype=pl.String))
            .otherwise(pl.col("apart").map_elements(_fixed, return_dtype=pl.String))
        )
    known = found.drop_nulls("step")
    if not known.height:
        raise UserError(
            f"{where}: no series has two dates, so the step is not known; give step=1mo or the like"
        )
    common = (
        known.group_by("step").agg(pl.col("points").sum()).sort("points", "step", descending=[True, False])
    )
    commonest = common["step"][0]
    usual = pl.col("step").is_in([*NAMES, commonest]).fill_null(False)
    return found.select("unique_id", step=pl.when(usual).then("step").otherwise(pl.lit(commonest)))


def describe(frequencies: Mapping[str, FrequencyConfig]) -> str:
    """monthly, season 12, horizon 18."""
    return "; ".join(
        f"{name}, season {config.seasonality}, horizon {config.horizon}" if config.seasonality > 1
        else f"{name}, no season, horizon {config.horizon}"
        for name, config in frequencies.items()
    )  # fmt: skip


def _months(count: int) -> str:
    return f"{count // 12}y" if count % 12 == 0 else f"{count}mo"


def _fixed(microseconds: int) -> str:
    for unit in ("w", "d", "h", "m", "s"):
        if microseconds % MICROSECONDS[unit] == 0:
            return f"{microseconds // MICROSECONDS[unit]}{unit}"
    return "1s"  # finer than a second: the check of the grid tells the row


def _season(text: str) -> int:
    """Of a custom, of a year in months, of a day in parts of it; else none."""
    step = Step.parse(text)
    if text in SEASONS:
        return SEASONS[text]
    if step.months:
        return 12 // step.months if 12 % step.months == 0 else 1
    length = step.count * MICROSECONDS.get(step.unit, DAY)
    return DAY // length if DAY % length == 0 and not step.is_integer else 1
