"""Waiting for a change without a lock that an exception could leave locked, or a wait that has no end.

A signal handler may raise anywhere. ``Condition`` and ``Event`` take their lock in Python code, so they can
be left locked, and whoever sets them hangs. ``SimpleQueue.get(timeout)`` may block for ever (CPython 3.11 and
3.12): woken for nothing at its last moment, it takes what is left of its time, a negative number, for none.
So everybody waits on a lock of their own here, whose timed ``acquire`` is C and right.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WaitQueue", "Waiters"]

T = TypeVar("T")

# A thing that got lost wakes nobody, so whoever waits for one looks again this often (seconds). The more
# wait, the more rarely each looks: together they must not keep the interpreter busy.
LOOK_AGAIN = 0.05
MOST_RARELY = 20 * LOOK_AGAIN


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


class WaitQueue(Generic[T]):
    """Threads that wait for one of a few things; each is handed one, in the order in which they came.

    Were a free thing left to whoever takes it first, somebody who gives one back and wants it again would
    have it before anybody who waits has woken up.

    Args:
        find: gives a thing that is free, or ``None``.
        put_back: makes a thing free for which nobody waits any more.

    Attributes:
        tickets: those who wait. Whoever comes while there are any has to wait, too.
    """

    def __init__(self, find: Callable[[], T | None], put_back: Callable[[T], object]) -> None:
        self.tickets: deque[_Ticket[T]] = deque()
        self._find = find
        self._put_back = put_back
        self._closed = False

    def wait(self, until: float) -> T | None:
        """Wait for a thing until that moment (monotonic seconds); ``None`` if there was none, or on close."""
        ticket: _Ticket[T] = _Ticket()
        try:
            while not self._closed:
                if ticket not in self.tickets:
                    self.tickets.append(ticket)
                self.serve()
                left = until - time.monotonic()
                thing = ticket.take(min(left, LOOK_AGAIN * max(1, len(self.tickets)), MOST_RARELY))
                if thing is not None or left <= 0:
                    return thing
            return None
        finally:
            self._leave(ticket)

    def serve(self) -> None:
        """Hand what is free to those who have waited longest."""
        while self.tickets:
            thing = self._find()
            if thing is None:
                return
            try:
                ticket = self.tickets.popleft()
            except IndexError:
                self._put_back(thing)  # and look again, since somebody may have come meanwhile
            else:
                ticket.give(thing)

    def close(self) -> None:
        """Let nobody wait, neither now nor later."""
        self._closed = True
        for ticket in list(self.tickets):
            ticket.wake()

    def _leave(self, ticket: _Ticket[T]) -> None:
        """Let *ticket* wait no more; what it was given too late is for others."""
        with suppress(ValueError):
            self.tickets.remove(ticket)
        while (thing := ticket.take(0)) is not None:
            self._put_back(thing)
            self.serve()


class _Ticket(Generic[T]):
    """One who waits."""

    def __init__(self) -> None:
        self._things: deque[T] = deque()
        self._lock = Lock()
        self._lock.acquire()

    def take(self, seconds: float) -> T | None:
        """Wait for a thing for so many seconds at most."""
        if not self._things:
            self._lock.acquire(timeout=max(0.0, seconds))
        try:
            return self._things.popleft()
        except IndexError:
            return None

    def give(self, thing: T) -> None:
        self._things.append(thing)
        self.wake()

    def wake(self) -> None:
        with suppress(RuntimeError):  # has been woken, and has not noticed yet
            self._lock.release()
