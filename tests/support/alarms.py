"""Exceptions that strike anywhere, as those of signal handlers do."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Interrupted", "alarms", "strike"]


class Interrupted(Exception):
    """Raised by the signal handler; an ``Exception``, like Celery's SoftTimeLimitExceeded."""


@contextmanager
def alarms() -> Iterator[Callable[[float], None]]:
    """Give a function that has ``Interrupted`` raised in this thread after so many seconds (0: never).

    On Python 3.14 the test is left out: there a ``with`` may lose its lock to such an exception.
    """
    if sys.version_info[:2] == (3, 14):
        pytest.skip("https://github.com/python/cpython/issues/148874")

    def interrupt(*_: object) -> None:
        raise Interrupted

    def alarm(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        if not seconds:
            signal.pthread_sigmask(signal.SIG_BLOCK, ())  # has a signal that came just before handled here

    def forget(_: object) -> None:
        """Keep nothing of what struck a ``__del__``: pytest would, with all that its frames refer to."""

    before, told = signal.signal(signal.SIGALRM, interrupt), sys.unraisablehook
    sys.unraisablehook = forget
    try:
        yield alarm
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = told


def strike(victim: threading.Thread) -> None:
    """Raise in *victim*, unless it is starting a thread.

    Until that has begun, CPython takes it for its parent, kills it, and the parent waits for it for ever.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)  # nothing else runs between looking and raising
    try:
        frame = sys._current_frames().get(victim.ident or 0)
        while isinstance(frame, FrameType) and frame.f_code is not threading.Thread.start.__code__:
            frame = frame.f_back  # of a thread in the middle of a call it may be anything, in CPython 3.11
        if frame is None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(victim.ident or 0), ctypes.py_object(Interrupted)
            )
    finally:
        sys.setswitchinterval(interval)
