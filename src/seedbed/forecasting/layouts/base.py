"""What every layout of a panel shares: frequencies as data, gaps, and what becomes of faulty series."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.forecasting.panels import CovariatesConfig, FrequencyConfig, Gaps, Panel, Rules, gather
from seedbed.forecasting.panels.sieve import OnFault, Sieve

if TYPE_CHECKING:
    import polars as pl


class Layout(Strict, ABC):
    """A way to write series into files. A layout reads; horizon, step and season come from its conf."""

    frequencies: dict[str, FrequencyConfig] = Field(min_length=1)
    gaps: Gaps = Field(
        "keep", description="keep: missing values and rows stay missing and are counted; refuse: a fault"
    )
    on_fault: OnFault = Field(
        "refuse", description="refuse the panel for a faulty series, or leave_out that series and count it"
    )

    @abstractmethod
    def tables(self, folder: Path) -> Iterable["pl.DataFrame"]:
        """The files below `folder` in long format, whole series to a table."""

    @abstractmethod
    def where(self, folder: Path) -> str:
        """The file that faults are in."""

    def covered(self) -> CovariatesConfig:
        """The columns that are covariates; of most layouts none are."""
        return CovariatesConfig()

    def load(self, folder: Path, *, scratch: Path | None = None) -> Panel:
        """Read and check everything; with `scratch` the values lie there on disk, not in memory."""
        sieve = Sieve(self.where(folder), self.on_fault)
        rules = Rules(self.frequencies, self.gaps, covariates=self.covered())
        sets, counts = gather(self.tables(folder), rules, sieve=sieve, folder=scratch)
        return Panel(sets, counts)


def long_table(
    values: Sequence[tuple[str, str, Sequence[float | None]]], *, first: int = 1
) -> "pl.DataFrame":
    """(unique_id, frequency, values) of series without dates, in integer time from `first` on."""
    import polars as pl

    lengths = np.asarray([len(own) for _, _, own in values], dtype=np.int64)
    series = np.repeat(np.arange(len(values)), lengths)
    places = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return pl.DataFrame(
        {
            "unique_id": pl.Series([name for name, _, _ in values], dtype=pl.String).gather(series),
            "ds": places + first,
            "y": pl.Series([value for _, _, own in values for value in own], dtype=pl.Float64),
            "frequency": pl.Series([name for _, name, _ in values], dtype=pl.String).gather(series),
        }
    )


def check_published(frequency: str, config: FrequencyConfig, published: int, where: str) -> None:
    """The horizon is the length of the test part that the publisher fixed: any other cuts elsewhere."""
    if config.horizon != published:
        raise UserError(
            f"{where}: the published test part of {frequency} has {published} points, but "
            f"panel.frequencies.{frequency}.horizon is {config.horizon}; set it to {published}"
        )


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """What is found out only when a file is read, as a UserError; `kind` is what it should be."""
    import polars as pl

    try:
        yield
    except UserError:
        raise
    except (pl.exceptions.PolarsError, csv.Error, ValueError, OverflowError, RecursionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path}: not readable as {kind}: {reason}; fetch it again, or correct the panel's conf"
        ) from None


def existing(path: Path) -> Path:
    """`path`, which must be a file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; fetch the panel's source, or correct the panel's conf")
    return path
