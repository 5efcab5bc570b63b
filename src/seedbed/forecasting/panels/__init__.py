"""Panels: series of one or several frequencies, read, checked and cut into train, valid and test parts."""

from seedbed.forecasting.panels.clock import show, to_time
from seedbed.forecasting.panels.covariates import Covariates, CovariatesConfig
from seedbed.forecasting.panels.gather import gather
from seedbed.forecasting.panels.rules import MIN_TRAIN, Counts, Gaps, Rules
from seedbed.forecasting.panels.series import FrequencyConfig, SeriesSet, repeat_ids
from seedbed.forecasting.panels.splits import Panel, Part, learnable, train_and_valid
from seedbed.forecasting.panels.tables import read_csv, read_tables

__all__ = [
    "MIN_TRAIN",
    "Counts",
    "Covariates",
    "CovariatesConfig",
    "FrequencyConfig",
    "Gaps",
    "Panel",
    "Part",
    "Rules",
    "SeriesSet",
    "gather",
    "learnable",
    "read_csv",
    "read_tables",
    "repeat_ids",
    "show",
    "to_time",
    "train_and_valid",
]
