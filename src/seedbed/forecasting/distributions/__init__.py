"""Distributions that a network learns by likelihood; `Distribution` is the catalogue."""

from typing import Annotated

from pydantic import Field

from seedbed.forecasting.distributions.negative_binomial import NegativeBinomialConfig
from seedbed.forecasting.distributions.normal import NormalConfig
from seedbed.forecasting.distributions.student_t import StudentTConfig

Distribution = Annotated[NormalConfig | StudentTConfig | NegativeBinomialConfig, Field(discriminator="name")]

__all__ = ["Distribution", "NegativeBinomialConfig", "NormalConfig", "StudentTConfig"]
