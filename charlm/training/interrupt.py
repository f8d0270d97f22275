"""Ctrl-C and SIGTERM while training: finish the step, save, leave.

The first signal is noted and acted on at the next safe point (or `at_once`, where nothing is
lost by that); a second Ctrl-C leaves at once, and the last checkpoint is what remains.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from charlm.errors import Interrupted

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


class Interruption:
    """Which signal has come, if any."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.signal_number is not None:
            os._exit(128 + number)
        self.signal_number = number

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.signal_number is not None:
            name = signal.Signals(self.signal_number).name
            raise Interrupted(self.signal_number, f"interrupted by {name}")


@contextmanager
def noted() -> Iterator[Interruption]:
    """Signals are noted instead of acted on, until the end of the block."""
    interruption = Interruption()
    with handled(interruption.note):
        yield interruption


@contextmanager
def at_once(interruption: Interruption) -> Iterator[None]:
    """A signal ends the block where it is, with Interrupted: nothing in it has to be finished."""

    def leave(number: int, frame: FrameType | None) -> None:
        interruption.note(number, frame)
        interruption.check()

    interruption.check()
    with handled(leave):
        yield


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Ctrl-C and SIGTERM are left to `handler` until the end of the block.

    Only the main thread can do this; elsewhere signals stay as they are.
    """
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            before[number] = signal.signal(number, handler)
        except ValueError:  # not the main thread
            break
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
