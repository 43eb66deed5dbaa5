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
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Flag", "Ticket", "WaitQueue", "Waiters"]

T = TypeVar("T")

# A thing that got lost wakes nobody, so whoever waits for one looks again this often (seconds). The more
# wait, the more rarely each looks: together they must not keep the interpreter busy.
LOOK_AGAIN = 0.05
MOST_RARELY = 20 * LOOK_AGAIN


class Waiters:
    """Threads that wait until something may have changed."""

    def __init__(self) -> None:
        self._locks: deque[Lock] = deque()

    def __len__(self) -> int:
        """Count those who wait."""
        return len(self._locks)

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


class Flag:
    """Raised once, by a signal handler too, and waited for by threads."""

    def __init__(self) -> None:
        self.is_raised = False
        self._waiters = Waiters()

    def put_up(self) -> None:
        """Raise it."""
        self.is_raised = True
        self._waiters.wake(len(self._waiters))

    def wait(self, seconds: float) -> bool:
        """Wait until it is raised, for some seconds at most; return whether it is."""
        self._waiters.wait(seconds, lambda: self.is_raised)
        return self.is_raised


class Ticket(Generic[T]):
    """One who waits in a ``WaitQueue``, a thread or a task.

    Args:
        ring: called, from whichever thread, when there may be something to take.
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._things: deque[T] = deque()
        self.ring = ring

    def take(self) -> T | None:
        """Take what was given; ``None`` if nothing was yet."""
        try:
            return self._things.popleft()
        except IndexError:
            return None

    def give(self, thing: T) -> None:
        """Hand over a thing."""
        self._things.append(thing)
        self.ring()


class WaitQueue(Generic[T]):
    """Threads and tasks that wait for one of a few things, and get one in the order in which they came.

    Were a free thing left to whoever takes it first, somebody who gives one back and wants it again would
    have it before anybody who waits has woken up.

    Args:
        find: gives a thing that is free, or ``None``.
        put_back: makes a thing free for which nobody waits any more.

    Attributes:
        tickets: those who wait. Whoever comes while there are any has to wait, too.
        is_closed: whether nobody may wait any more.
    """

    def __init__(self, find: Callable[[], T | None], put_back: Callable[[T], object]) -> None:
        self.tickets: deque[Ticket[T]] = deque()
        self.is_closed = False
        self._find = find
        self._put_back = put_back

    def wait(self, until: float) -> T | None:
        """Block until there is a thing, or until that moment (monotonic): ``None``, which close gives too."""
        bell = Lock()
        bell.acquire()
        ticket: Ticket[T] = Ticket(partial(_release, bell))
        try:
            while (seconds := self.seconds_to_wait(ticket, until)) is not None:
                if (thing := ticket.take()) is None:
                    bell.acquire(timeout=seconds)
                    thing = ticket.take()
                if thing is not None:
                    return thing
            return ticket.take()
        finally:
            self.leave(ticket)

    def seconds_to_wait(self, ticket: Ticket[T], until: float) -> float | None:
        """Have *ticket* in the queue, and return for how long to wait for its bell before asking again.

        Args:
            ticket: of the caller, who is to ``leave`` in the end, whatever happens.
            until: monotonic seconds until which the caller waits.

        Returns:
            seconds; ``None`` if it is over: the time, or because of ``close``.
        """
        if self.is_closed:
            return None
        if ticket not in self.tickets:
            self.tickets.append(ticket)
        self.serve()
        left = until - time.monotonic()
        return None if left <= 0 else min(left, LOOK_AGAIN * max(1, len(self.tickets)), MOST_RARELY)

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
                del ticket, thing  # if whoever waited was struck, the thing is lost, and its place free

    def leave(self, ticket: Ticket[T]) -> None:
        """Let *ticket* wait no more; what it was given too late is for others."""
        with suppress(ValueError):
            self.tickets.remove(ticket)
        while (thing := ticket.take()) is not None:
            self._put_back(thing)
            self.serve()

    def close(self) -> None:
        """Let nobody wait, neither now nor later."""
        self.is_closed = True
        for ticket in list(self.tickets):
            ticket.ring()


def _release(bell: Lock) -> None:
    with suppress(RuntimeError):  # has been rung, and nobody has noticed yet
        bell.release()
