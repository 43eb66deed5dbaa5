"""Threads that take a job from an event loop with one wake-up, and stay for the next.

anyio's do more for each call: a checkpoint, a limiter, a context to copy and a future, four times the cost of
the hop itself, and that on the way of every hit. What these run copes with all of that on its own: it is
bounded, publishes its own results and raises nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from mysql_redis_cache.runtime import process

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Workers"]

IDLE_SECONDS = 5.0
PICKED_SECONDS = 60.0


class Workers:
    """Daemon threads, as many as there are jobs at a time; one that stays idle ends."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Forget the parent's threads."""
        self._idle: deque[_Worker] = deque()

    def run(self, job: Callable[[], None]) -> None:
        """Have a thread run *job*, which must not raise.

        Raises:
            RuntimeError: no thread could be started.
        """
        try:
            worker = self._idle.pop()  # the one that was busy last
        except IndexError:
            worker = _Worker(self._idle, self._idle_seconds)
            worker.start()
        worker.job = job
        worker.wake.release()


class _Worker(threading.Thread):
    """One thread: waits for its lock to be released, runs its job, and offers itself again."""

    def __init__(self, idle: deque[_Worker], idle_seconds: float) -> None:
        super().__init__(name="mysql_redis_cache-hits", daemon=True)
        self.idle, self.idle_seconds = idle, idle_seconds
        self.job: Callable[[], None] | None = None
        self.wake = threading.Lock()
        self.wake.acquire()

    def run(self) -> None:
        while self._is_wanted():
            job, self.job = self.job, None
            if job is not None:
                job()
            del job  # what it refers to must not live until the next one
            self.idle.append(self)

    def _is_wanted(self) -> bool:
        """Wait for a job; ``False`` if none came and none will."""
        if self.wake.acquire(timeout=self.idle_seconds):
            return True
        try:
            self.idle.remove(self)
        except ValueError:  # somebody has just picked this one, and wakes it unless interrupted
            return self.wake.acquire(timeout=PICKED_SECONDS)
        return False
