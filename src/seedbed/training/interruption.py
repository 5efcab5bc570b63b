"""SIGTERM and SIGUSR1 only set a flag; the loop saves and stops at the end of a step.

A handler that saves or talks to other ranks by itself deadlocks now and then (Lightning issue 20542 and
our own trials on Slurm), so nothing but the flag happens inside the signal.
"""

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopFlag:
    """True once a stop signal came; make it before Lightning sets its own handlers, install it after."""

    def __init__(self) -> None:
        self.raised = False
        self._before = {number: signal.getsignal(number) for number in SIGNALS}

    def install(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._raise)

    def restore(self) -> None:
        """The handlers that stood when the flag was made."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.raised = True
