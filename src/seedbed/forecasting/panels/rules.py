"""What a table of series may be, and the counts of what came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seedbed.forecasting.panels.covariates import NO_COVARIATES, CovariatesConfig
from seedbed.forecasting.panels.series import FrequencyConfig

Gaps = Literal["keep", "refuse"]
MIN_TRAIN = 2
"""Known points without which there is nothing to learn from."""


@dataclass(frozen=True)
class Rules:
    """What a table of series may be."""

    frequencies: Mapping[str, FrequencyConfig]
    gaps: Gaps = "keep"
    needs_test: bool = True
    """Whether the last horizon of each series is kept back, so that the points before it must suffice;
    if not, covariates must be known a horizon after the last y."""
    covariates: CovariatesConfig = NO_COVARIATES


@dataclass(frozen=True)
class Counts:
    """What came and what was left out."""

    series: int = 0
    points: int = 0
    """Of the series' time, missing ones among them."""
    missing: int = 0
    """Points without a value: empty y and absent rows."""
    absent_rows: int = 0
    """Of them those that the file has no row for."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Series by reason."""
    emptied: tuple[str, ...] = ()
    """Frequencies that were left out with all of their series."""

    def lines(self) -> list[str]:
        """What the user should hear of; nothing when all is whole."""
        told = []
        if self.missing:
            told.append(
                f"{self.missing} of {self.points} points have no value ({self.absent_rows} of them no row): "
                "kept as gaps"
            )
        told += [f"{count} series left out: {reason}" for reason, count in sorted(self.left_out.items())]
        told += [f"{frequency} left out: none of its series could be kept" for frequency in self.emptied]
        return told
