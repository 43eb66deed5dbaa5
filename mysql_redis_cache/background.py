"""A few daemon threads for work nobody waits for: refreshes behind a reader's back, renewals of leases."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from mysql_redis_cache import process

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Background", "Keeper"]

logger = logging.getLogger("mysql_redis_cache")

IDLE_SECONDS = 1.0
MAX_QUEUED = 100


class Background:
    """Runs jobs on at most *size* daemon threads, each key at most once at a time; full means refused."""

    def __init__(self, size: int = 2) -> None:
        self._size = size
        self._closed = False
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Forget the parent's jobs and threads."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._jobs: deque[tuple[Hashable, Callable[[], object]]] = deque()
        self._keys: set[Hashable] = set()
        self._threads = 0
        self._idle = 0

    def submit(self, key: Hashable, job: Callable[[], object]) -> bool:
        """Queue *job* unless one of the same key is queued or runs; return whether it was queued."""
        # The lock itself, not the condition: its ``with`` is Python, which a signal could leave locked.
        with self._lock:
            if self._closed or key in self._keys or len(self._jobs) >= MAX_QUEUED or not self._has_worker():
                return False
            self._keys.add(key)
            self._jobs.append((key, job))
            self._changed.notify()
            return True

    def close(self) -> None:
        """Refuse new jobs and forget the queued ones; running ones end by their own timeouts."""
        with self._lock:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()

    def _has_worker(self) -> bool:
        """Return whether one more job finds a thread that will come to it, having started one if need be."""
        if self._idle > len(self._jobs) or self._threads >= self._size:
            return True
        if not _start(self._work, "mysql_redis_cache-refresh"):
            return self._threads > 0
        self._threads += 1
        return True

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
                self._changed.wait_for(lambda: self._jobs or self._closed, IDLE_SECONDS)
                self._idle -= 1
                if not self._jobs:
                    self._threads -= 1
                    return
                key, job = self._jobs.popleft()
            try:
                job()
            except Exception:  # the reader has its answer already; the next one tries again
                logger.debug("a refresh behind a reader's back failed", exc_info=True)
            finally:
                with self._lock:
                    self._keys.discard(key)


class Keeper:
    """Renews the leases of loads that last.

    One daemon thread looks at the leases held every third of their life and ends when none is left, so that
    quick loads cost an entry in a dict and nothing else.

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
        self._lock = threading.Lock()
        self._held: dict[bytes, tuple[float, Callable[[], bool]]] = {}
        self._runs = False

    def keep(self, token: bytes, renew: Callable[[], bool]) -> None:
        """Have *renew* called again and again until it returns ``False``, raises, or ``forget`` is called."""
        with self._lock:
            self._held[token] = (time.monotonic(), renew)
            self._runs = self._runs or _start(self._work, "mysql_redis_cache-keeper")

    def forget(self, token: bytes) -> None:
        """Stop renewing; a renewal under way does no harm, since it is token-checked."""
        with self._lock:
            self._held.pop(token, None)

    def _work(self) -> None:
        while True:
            time.sleep(self._interval)
            with self._lock:
                if not self._held:
                    self._runs = False
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
