"""Treats the signals that end a program in the same way as Ctrl-C, so that work ends properly."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""SIGTERM comes from `kill`, Docker and Slurm; SIGHUP comes from a terminal that was closed."""


class EndedError(KeyboardInterrupt):
    """A signal has ended the program."""

    def __init__(self, number: int) -> None:
        """Take the number of the signal."""
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Raise an `EndedError` in the main program when a signal of `ENDING` comes.

    A signal that is ignored, as with `nohup`, is still ignored.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise EndedError(number)

    before = {one: signal.getsignal(one) for one in ENDING}
    taken = {one: old for one, old in before.items() if old is signal.SIG_DFL}
    for one in taken:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one, old in taken.items():
            signal.signal(one, old)


def leave_to_parent() -> None:
    """Ignore Ctrl-C and the signals of `ENDING`; the parent gets them too, and decides."""
    for one in (signal.SIGINT, *ENDING):
        signal.signal(one, signal.SIG_IGN)
