"""Layouts: how panels are written into files, told apart by `name`."""

from typing import Annotated

from pydantic import Field

from seedbed.forecasting.layouts.ett import ETTConfig
from seedbed.forecasting.layouts.exchange_rate import ExchangeRateConfig
from seedbed.forecasting.layouts.long import LongConfig
from seedbed.forecasting.layouts.m3 import M3Config
from seedbed.forecasting.layouts.m4 import M4Config
from seedbed.forecasting.layouts.nn5 import NN5Config
from seedbed.forecasting.layouts.tourism import TourismConfig

PanelConfig = Annotated[
    LongConfig | M3Config | M4Config | NN5Config | ExchangeRateConfig | ETTConfig | TourismConfig,
    Field(discriminator="name"),
]

__all__ = [
    "ETTConfig",
    "ExchangeRateConfig",
    "LongConfig",
    "M3Config",
    "M4Config",
    "NN5Config",
    "PanelConfig",
    "TourismConfig",
]
