"""How often what is drawn for a row (its masks, its partner) changes: RoBERTa, arXiv 1907.11692, section 4.1.

Shapes: B presentations.
"""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from seedbed.config import Strict

Ids = npt.NDArray[np.int64]


class DynamicConfig(Strict):
    """Everything is drawn anew at each presentation, as RoBERTa and ELECTRA train."""

    name: Literal["dynamic"]

    def draws(self, presentations_B: Ids, numbers_B: Ids, num_rows: int) -> Ids:
        """The number under which each presentation draws; `numbers_B` are its rows."""
        return presentations_B


class StaticConfig(Strict):
    """Every row has `num_duplicates` fixed versions, which the epochs present in turn, as BERT was trained.

    BERT's code writes the duplicates to disk; here they are drawn again, the same, when they are due.
    """

    name: Literal["static"]
    num_duplicates: int = Field(10, ge=1, description="dupe_factor of the official code")

    def draws(self, presentations_B: Ids, numbers_B: Ids, num_rows: int) -> Ids:
        return presentations_B // num_rows % self.num_duplicates * num_rows + numbers_B


Masks = Annotated[DynamicConfig | StaticConfig, Field(discriminator="name")]
