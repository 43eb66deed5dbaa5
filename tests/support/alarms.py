"""Exceptions that strike anywhere, as those of signal handlers do."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Interrupted", "alarms"]


class Interrupted(Exception):
    """Raised by the signal handler; an ``Exception``, like Celery's SoftTimeLimitExceeded."""


@contextmanager
def alarms() -> Iterator[Callable[[float], None]]:
    """Give a function that has ``Interrupted`` raised in this thread after so many seconds (0: never)."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    def alarm(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        if not seconds:
            signal.pthread_sigmask(signal.SIG_BLOCK, ())  # has a signal that came just before handled here

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        yield alarm
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
