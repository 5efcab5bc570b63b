"""Where we differ from the published systems: entries that stand beside the code they describe.

A module with a component tells its own in `DEVIATIONS`; docs/fidelity.py gathers them into a page.
"""

from typing import NamedTuple


class Deviation(NamedTuple):
    """One difference, each part in whole sentences."""

    system: str
    theirs: str
    ours: str
    why: str
    source: str
