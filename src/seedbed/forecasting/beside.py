"""The baselines that stand beside every forecaster in a report, whether or not a run makes them."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import count
from typing import TYPE_CHECKING

from seedbed.forecasting.baselines import Naive2Config, SeasonalNaiveConfig
from seedbed.forecasting.fitting import Forecasts
from seedbed.forecasting.panels import Panel
from seedbed.forecasting.saved import forecast_table

if TYPE_CHECKING:
    import polars as pl


def baselines_beside(
    panel: Panel, source: str, *, beside: Sequence[str], taken: set[str]
) -> Iterator[tuple[str, "pl.DataFrame"]]:
    """Names and forecasts of Naive2 and the seasonal naive, where none of `beside` is called like them.

    `taken` are the names of other panels' forecasters.
    """
    import polars as pl

    for config in (Naive2Config(name="naive2"), SeasonalNaiveConfig(name="seasonal_naive")):
        if any(fnmatchcase(name, f"*{config.name}*") for name in beside):
            continue
        free = (f"{config.name}-{source}" + (f"-{i}" if i > 1 else "") for i in count(1))
        name = next(name for name in free if name not in taken)
        yield (
            name,
            pl.concat(
                forecast_table(one, Forecasts(config.forecast(one)), column=name)
                for one in panel.sets("history")
            ),
        )
