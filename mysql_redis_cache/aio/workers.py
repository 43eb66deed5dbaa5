"""Threads that take a job from an event loop with one wake-up, and stay for the next.

anyio's do more for each call: a checkpoint, a limiter, a context to copy and a future, four times the cost of
the hop itself, and that on the way of every hit. What these run copes with all of that on its own: it is
bounded, publishes its own results and raises nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from mysql_redis_cache.runtime import process

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HITS", "Workers"]

MOST_THREADS = 16
IDLE_SECONDS = 5.0


class Workers:
    """Daemon threads, as many as there are jobs at a time, up to a bound; one that stays idle ends.

    Jobs wait in a queue, threads that have nothing to do in another, and whoever adds to one looks into the
    other afterwards; so neither can miss the other, and there is no lock.

    Args:
        most: how many threads there may be.
        idle_seconds: for how long a thread waits for its next job.
    """

    def __init__(self, most: int = MOST_THREADS, idle_seconds: float = IDLE_SECONDS) -> None:
        self.most = most
        self.idle_seconds = idle_seconds
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Forget the parent's threads, and whom they worked for."""
        self.jobs: deque[Callable[[], None]] = deque()
        self.idle: deque[_Worker] = deque()
        self.alive: set[_Worker] = set()
        self._users: WeakSet[object] = WeakSet()

    def run(self, job: Callable[[], None]) -> None:
        """Have a thread run *job*, which must not raise.

        Raises:
            RuntimeError: no thread could be started, and none is there.
        """
        self.jobs.append(job)
        try:
            self.idle.pop().ring()  # the one that was busy last
        except IndexError:
            if len(self.alive) < self.most:
                self._start(job)

    def enrol(self, user: object) -> None:
        """Keep idle threads for *user*, until it leaves or is forgotten."""
        self._users.add(user)

    def leave(self, user: object) -> None:
        """Work for *user* no more; after the last one the idle threads end."""
        self._users.discard(user)
        while not self._users and self.idle:
            with suppress(IndexError):
                self.idle.pop().dismiss()

    def _start(self, job: Callable[[], None]) -> None:
        try:
            _Worker(self).start()
        except RuntimeError:
            if not self.alive:  # else one of those takes it
                self.jobs.remove(job)
                raise


class _Worker(threading.Thread):
    """One thread: runs jobs while there are any, then waits for its lock to be released."""

    def __init__(self, workers: Workers) -> None:
        super().__init__(name="mysql_redis_cache-hits", daemon=True)
        self.jobs, self.idle, self.alive = workers.jobs, workers.idle, workers.alive
        self.most, self.idle_seconds = workers.most, workers.idle_seconds
        self.is_dismissed = False
        self.wake = threading.Lock()
        self.wake.acquire()

    def ring(self) -> None:
        """Wake a thread that was picked."""
        with suppress(RuntimeError):  # it has been rung, and has not noticed yet
            self.wake.release()

    def dismiss(self) -> None:
        """Have a thread that was picked end."""
        self.is_dismissed = True
        self.ring()

    def run(self) -> None:
        # It counts from here on, not from when it was started: that may be interrupted at any point.
        wanted = len(self.alive) < self.most
        if wanted:
            self.alive.add(self)
        while wanted:
            self._work()
            wanted = self._is_wanted() or self._is_needed_after_all()

    def _work(self) -> None:
        while self.jobs:
            try:
                job = self.jobs.popleft()
            except IndexError:
                return
            job()
            del job  # what it refers to must not live until the next one

    def _is_wanted(self) -> bool:
        """Wait for a job; ``False`` if none came."""
        self.idle.append(self)
        if self.jobs:  # it came before this thread could be seen
            self._leave()
            return True
        # Whoever picks a thread rings after that, perhaps too late for this wait: a ring may be an old one.
        was_rung = self.wake.acquire(timeout=self.idle_seconds)
        was_picked = not self._leave()
        return (was_rung or was_picked) and not self.is_dismissed

    def _is_needed_after_all(self) -> bool:
        """End, unless a job came from somebody who still took this thread for one of those at work."""
        self.alive.discard(self)
        if self.jobs:
            self.alive.add(self)
        return self in self.alive

    def _leave(self) -> bool:
        """Take this thread out of the idle ones; ``False`` if somebody has, who then wakes it."""
        try:
            self.idle.remove(self)
        except ValueError:
            return False
        return True


HITS = Workers()
