"""SIGTERM and SIGUSR1 only set a flag; the loop saves and stops at the end of a step.

A handler that saves or talks to other ranks by itself deadlocks now and then (Lightning issue 20542 and
our own trials on Slurm), so nothing but the flag happens inside the signal.
"""

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopFlag:
    """True once a stop signal came; install it after Lightning has set its own handlers."""

    def __init__(self) -> None:
        self.raised = False

    def install(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._raise)

    def restore_defaults(self) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.raised = True
