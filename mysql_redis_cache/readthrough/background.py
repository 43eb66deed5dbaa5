"""A few daemon threads for work nobody waits for: refreshes behind a reader's back, renewals of leases."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from mysql_redis_cache.runtime import process

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Background", "Keeper"]

logger = logging.getLogger("mysql_redis_cache.reads")

IDLE_SECONDS = 1.0
MAX_QUEUED = 100


class Background:
    """Runs jobs on at most *size* daemon threads, each key at most once at a time; full means refused.

    A thread counts from when it enrols itself, not from when it was started: starting one may be interrupted
    at any point (and in CPython 3.11 may never return), so no lock is held and nothing is counted meanwhile.
    """

    def __init__(self, size: int = 2) -> None:
        self._size = size
        self._closed = False
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Forget the parent's jobs and threads."""
        # Re-entrant: a signal handler may read, too, and strike where the lock is held.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._jobs: dict[Hashable, Callable[[], object]] = {}  # queued, in order
        self._running: set[Hashable] = set()
        self._threads = 0
        self._idle = 0

    def submit(self, key: Hashable, job: Callable[[], object], *, again: bool = False) -> bool:
        """Queue *job* unless one of the same key is queued or runs; return whether it was queued.

        A job whose submission is interrupted may be left in the queue; the thread of a later one runs it.

        Args:
            key: tells jobs apart.
            job: a function without arguments.
            again: queue it beside one that runs, which may have seen too little already.
        """
        # The lock itself, not the condition: its ``with`` is Python, which a signal could leave locked.
        with self._lock:
            is_there = key in self._jobs or (key in self._running and not again)
            if self._closed or len(self._jobs) >= MAX_QUEUED or is_there:
                return False
            self._jobs[key] = job
            self._changed.notify()
            if len(self._jobs) <= self._idle or self._threads >= self._size:
                return True
        return _start(self._work, "mysql_redis_cache-refresh") or not self._withdrawn(key)

    def close(self) -> None:
        """Refuse new jobs and forget the queued ones; running ones end by their own timeouts."""
        with self._lock:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()

    def _withdrawn(self, key: Hashable) -> bool:
        """Take a job back for which no thread could be started, unless there is one that will come to it."""
        with self._lock:
            return not self._threads and self._jobs.pop(key, None) is not None

    def _work(self) -> None:
        with self._lock:
            if self._threads >= self._size:  # others were started at the same moment
                return
            self._threads += 1
        while (taken := self._take()) is not None:
            key, job = taken
            try:
                job()
            except BaseException:  # the reader has its answer already; the next one tries again
                logger.debug("a refresh behind a reader's back failed", exc_info=True)
            finally:
                with self._lock:
                    self._running.discard(key)

    def _take(self) -> tuple[Hashable, Callable[[], object]] | None:
        """Wait for a job; ``None`` ends this thread."""
        with self._lock:
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs or self._closed, IDLE_SECONDS)
            self._idle -= 1
            if not self._jobs:
                self._threads -= 1
                return None
            key = next(iter(self._jobs))
            self._running.add(key)
            return key, self._jobs.pop(key)


class Keeper:
    """Renews the leases of loads that last.

    One daemon thread looks at the leases held every third of their life and ends when none is left, so that
    quick loads cost an entry in a dict and nothing else. Like those of ``Background`` it enrols itself.

    Args:
        lease_seconds: life of a lease.
        longest: seconds after which a load is given up for hung and its lease is left to run out.
    """

    def __init__(self, lease_seconds: float, longest: float = 600.0) -> None:
        self._interval = lease_seconds / 3
        self._longest = longest
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Forget the parent's leases; the parent keeps them."""
        # Re-entrant, as above.
        self._lock = threading.RLock()
        self._held: dict[bytes, tuple[float, Callable[[], bool]]] = {}
        self._runs = False
        self._start_again_at = 0.0

    def keep(self, token: bytes, renew: Callable[[], bool]) -> None:
        """Have *renew* called again and again until it returns ``False``, raises, or ``forget`` is called."""
        now = time.monotonic()
        with self._lock:
            self._held[token] = (now, renew)
            if self._runs or now < self._start_again_at:
                return
            # Once in a while: many loads may begin before the thread does, and it may never come.
            self._start_again_at = now + self._interval
        _start(self._work, "mysql_redis_cache-keeper")

    def forget(self, token: bytes) -> None:
        """Stop renewing; a renewal under way does no harm, since it is token-checked."""
        with self._lock:
            self._held.pop(token, None)

    def _work(self) -> None:
        with self._lock:
            if self._runs:
                return
            self._runs = True
        while True:
            time.sleep(self._interval)
            with self._lock:
                if not self._held:
                    self._runs = False
                    self._start_again_at = 0.0
                    return
                held = list(self._held.items())
            for token, (since, renew) in held:
                if not self._renewed(since, renew):
                    self.forget(token)

    def _renewed(self, since: float, renew: Callable[[], bool]) -> bool:
        age = time.monotonic() - since
        if age < self._interval:
            return True
        try:
            return age < self._longest and renew()
        except Exception:  # noqa: BLE001 - Redis is away: the lease runs out, which costs a fill and nothing else
            return False


def _start(work: Callable[[], None], name: str) -> bool:
    """Start a daemon thread; return whether there was room for one, which is no reader's concern."""
    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:  # no more threads, or the interpreter is ending
        logger.warning("no thread could be started for %s", name)
        return False
    return True
