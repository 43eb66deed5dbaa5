"""Waiting for a change without a lock that an exception could leave locked, or a wait that has no end.

A signal handler may raise anywhere. ``Condition`` and ``Event`` take their lock in Python code, so they can
be left locked, and whoever sets them hangs. ``SimpleQueue.get(timeout)`` may block for ever (CPython 3.11 and
3.12): woken for nothing at its last moment, it takes what is left of its time, a negative number, for none.
So everybody waits on a lock of their own here, whose timed ``acquire`` is C and right.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Waiters"]


class Waiters:
    """Threads that wait until something may have changed."""

    def __init__(self) -> None:
        self._locks: deque[Lock] = deque()

    def wait(self, seconds: float, unless: Callable[[], object]) -> None:
        """Wait to be woken.

        Args:
            seconds: for how long at most.
            unless: asked once a wake can no longer be missed; if it returns something true nobody waits.
        """
        lock = Lock()
        lock.acquire()
        self._locks.append(lock)
        try:
            if not unless():
                lock.acquire(timeout=max(0.0, seconds))
        finally:
            with suppress(ValueError):  # whoever woke this one has taken it out
                self._locks.remove(lock)

    def wake(self, count: int = 1) -> None:
        """Wake those who have waited longest, *count* of them at most."""
        for _ in range(count):
            try:
                lock = self._locks.popleft()
            except IndexError:
                return
            lock.release()
