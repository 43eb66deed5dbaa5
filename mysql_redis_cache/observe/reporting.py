"""A line now and then that sums up what a client did."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING
from weakref import WeakMethod

from mysql_redis_cache.runtime import process

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stats import Stats

__all__ = ["Reporter", "summary"]

logger = logging.getLogger("mysql_redis_cache.stats")


class Reporter:
    """Logs what a client did, by a daemon thread that ends with it.

    Args:
        name: of the client.
        stats: a method that gives the counts so far; what it belongs to is not kept alive.
        every: seconds between two lines.
    """

    def __init__(self, name: str, stats: Callable[[], Stats], every: float) -> None:
        self._name = name
        self._stats = WeakMethod(stats)
        self._every = every
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Have no thread: the parent's does not exist here."""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start the thread, unless that was done; from the first read on there is something to tell."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mysql_redis_cache-stats", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Log nothing more."""
        self._ended.set()

    def _run(self) -> None:
        ended, before = self._ended, self._now()
        while before is not None and not ended.wait(self._every):
            now = self._now()
            text = "" if now is None else summary(now - before)
            if text:
                logger.info("%s: %s in %g s", self._name, text, self._every)
            before = now

    def _now(self) -> Stats | None:
        stats = self._stats()
        return None if stats is None else stats()


def summary(stats: Stats) -> str:
    """Sum up what happened, in one line; nothing if nothing did."""
    hits, unavailable = stats.hits + stats.near_hits, stats.unavailable
    reads = hits + stats.misses + unavailable
    if not reads and not stats.bypasses and not stats.drops + stats.drop_failures:
        return ""
    mean = 1000 * stats.load_seconds / stats.loads if stats.loads else 0.0
    ratio = 100 * stats.hit_ratio
    parts = [f"{reads:,} reads, {ratio:.1f} % hits", f"{stats.loads:,} loads of {mean:.1f} ms"]
    others = {
        "past the cache": stats.bypasses,
        "shared": stats.shared_loads,
        "stale": stats.stale,
        "without Redis": unavailable,
        "fills refused": stats.refused_fills,
        "drops": stats.drops,
        "drops failed": stats.drop_failures,
        "waits for MySQL connections": stats.pool_waits + stats.pool_timeouts,
    }
    parts += [f"{number:,} {what}" for what, number in others.items() if number]
    return ", ".join(parts)
