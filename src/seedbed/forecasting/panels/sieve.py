"""What becomes of a faulty row: its series and row are told, or its series is left out and counted.

A fault belongs to a series: who asked to leave faulty series out loses the whole of it, never a row alone.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from seedbed.config import UserError

if TYPE_CHECKING:
    import polars as pl

OnFault = Literal["refuse", "leave_out"]
Tell = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class Advice:
    """What to change where the panel is at fault and not a row: the place is another in each command."""

    step: str
    gaps: str
    on_fault: str
    frequency: str
    calendar: str
    named: bool
    """Whether somebody named the frequencies; if not, one whose series are all left out is left out too."""


OF_A_PANEL = Advice(
    step="correct panel.frequencies.{frequency}.step",
    gaps="set panel.gaps to keep",
    on_fault="set panel.on_fault to leave_out",
    frequency="remove panel.frequencies.{frequency}",
    calendar="leave covariates.calendar empty",
    named=True,
)
OF_A_TABLE = Advice(
    step="give the step, step=1mo or the like",
    gaps="leave gaps= out",
    on_fault="give on_fault=leave_out",
    frequency="correct the file",
    calendar="leave calendar= out",
    named=False,
)


class Sieve:
    """Refuses the first faulty row, or takes out the series it is in; `left_out` counts them by reason."""

    def __init__(self, where: str, on_fault: OnFault, advice: Advice = OF_A_PANEL) -> None:
        self.where, self.on_fault, self.advice = where, on_fault, advice
        self.left_out: Counter[str] = Counter()

    def check(self, table: "pl.DataFrame", wrong: "pl.Expr", reason: str, tell: Tell) -> "pl.DataFrame":
        """The table without the series that have a `wrong` row; `tell` words the fault of a row."""
        import polars as pl

        faulty = table.filter(wrong)
        if faulty.is_empty():
            return table
        if self.on_fault == "refuse":
            raise UserError(f"{self.where}: {tell(faulty.sort('row').row(0, named=True))}")
        names = faulty["unique_id"].unique()
        self.left_out[reason] += len(names)
        return table.filter(~pl.col("unique_id").is_in(names.implode()))
