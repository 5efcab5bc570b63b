"""Forecasting: panels of series, forecasters told apart by `name`, and the baselines beside them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from seedbed.config import Strict
from seedbed.forecasting.backtest import BacktestConfig
from seedbed.forecasting.baselines import Naive2Config, NaiveConfig, SeasonalNaiveConfig
from seedbed.forecasting.conformal import ConformalConfig
from seedbed.forecasting.distributional import DistributionalConfig
from seedbed.forecasting.forecaster import NBEATSForecasterConfig
from seedbed.forecasting.layouts import LongConfig, PanelConfig
from seedbed.forecasting.network import NetworkForecasterConfig
from seedbed.forecasting.panels import CovariatesConfig, Panel
from seedbed.forecasting.statistical import StatisticalConfig
from seedbed.forecasting.transfer import TransferConfig
from seedbed.training import Training

Forecaster = Annotated[
    NBEATSForecasterConfig
    | NetworkForecasterConfig
    | DistributionalConfig
    | NaiveConfig
    | Naive2Config
    | SeasonalNaiveConfig
    | StatisticalConfig
    | TransferConfig,
    Field(discriminator="name"),
]


class ForecastRecipe(Strict):
    """One entry of `forecast` in params.lock.yaml: which series, and what forecasts them."""

    source: str = Field(description="a fetch run")
    panel: PanelConfig
    forecaster: Forecaster
    model: str | None = Field(None, description="a forecast run, whose members a `transfer` forecasts with")
    training: Training | None = Field(None, description="of forecasters that are trained")
    refit: bool = Field(
        True,
        description="after the fit that is scored on the valid part, fit again on train and valid together",
    )
    backtest: BacktestConfig | None = Field(
        None, description="forecasts from earlier cutoffs, before the test part: cross_validation.parquet"
    )
    conformal: ConformalConfig | None = Field(
        None, description="intervals around the forecasts, from the errors of the backtest"
    )

    @model_validator(mode="after")
    def _intervals_come_from_one_place(self) -> Self:
        if self.conformal is not None and self.backtest is None:
            raise ValueError("conformal takes its errors from a backtest; set backtest.windows (1 is enough)")
        levels = (
            self.forecaster.levels
            if self.forecaster.name in ("statistical", "nbeats", "distributional")
            else ()
        )
        if self.conformal is not None and levels:
            raise ValueError("forecaster.levels and conformal both make intervals; keep one of them")
        return self

    @model_validator(mode="after")
    def _a_transfer_has_a_model(self) -> Self:
        if (self.forecaster.name == "transfer") != (self.model is not None):
            raise ValueError(
                "forecaster transfer forecasts with the members of `model`, a forecast run, and no other "
                "takes one; give both, under `transfer` of params.yaml, or neither"
            )
        return self

    @model_validator(mode="after")
    def _trained_forecasters_need_training(self) -> Self:
        if self.forecaster.name in ("nbeats", "network", "distributional") and self.training is None:
            raise ValueError(
                f"{self.forecaster.name} needs `training`; see conf/forecast/nbeats_generic-classics.yaml"
            )
        return self

    @model_validator(mode="after")
    def _covariates_are_taken(self) -> Self:
        given, forecaster = self.panel.covered(), self.forecaster
        check_covariates(forecaster, given)
        return self

    @model_validator(mode="after")
    def _settings_are_of_frequencies_that_are_there(self) -> Self:
        if self.forecaster.name in ("nbeats", "distributional"):
            known = list(self.panel.frequencies)
            for name in self.forecaster.by_frequency:
                if name not in known:
                    raise ValueError(
                        f"forecaster.by_frequency has {name}; the panel has {', '.join(known)}; "
                        "correct the name"
                    )
        return self

    @model_validator(mode="after")
    def _seasons_lie_in_the_windows(self) -> Self:
        if self.forecaster.name == "nbeats":
            for name, own in self.forecaster.by_frequency.items():
                shortest = min(self.forecaster.lookbacks) * self.panel.frequencies[name].horizon
                if own.seasons and min(own.seasons) > shortest:
                    raise ValueError(
                        f"forecaster.by_frequency.{name}.seasons: the shortest is {min(own.seasons)} points; "
                        f"a member's window has {shortest}; take longer lookbacks or a shorter season too"
                    )
        return self

    @model_validator(mode="after")
    def _a_refit_has_no_plateau(self) -> Self:
        if self.refit and self.training is not None and self.training.schedule.name == "plateau":
            raise ValueError(
                "training.schedule plateau follows validations, and the refit has none; set refit to false "
                "or take another schedule"
            )
        return self


def check_covariates(forecaster: Forecaster, given: CovariatesConfig) -> None:
    """ValueError where a forecaster gets covariates that it cannot take, or lacks those that it needs."""
    takes = forecaster.name == "nbeats" and forecaster.model.name == "nbeatsx"
    if given and not takes:
        raise ValueError(
            f"{forecaster.name} takes no covariates, and the panel has {given}; take "
            "conf/forecaster/nbeatsx_* or set panel.covariates to {}"
        )
    if takes and not given:
        raise ValueError(
            "forecaster.model nbeatsx takes covariates; name some in panel.covariates (layouts long and "
            "ett) or take model nbeats"
        )
    if forecaster.name == "nbeats" and not given.ahead:
        stacks = [stack.name for stack in forecaster.model.stacks]
        if "exogenous" in stacks:
            raise ValueError(
                "a stack exogenous forecasts by covariates that are known ahead; name some in "
                "panel.covariates.future or .calendar, or take exogenous_context"
            )


__all__ = ["ForecastRecipe", "Forecaster", "LongConfig", "Panel", "PanelConfig"]
