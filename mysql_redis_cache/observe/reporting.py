"""What a client did lately: as a line for the log, and as a notice for those who watch all processes."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stats import QueryStats, Stats

__all__ = ["Notices", "Summaries", "notice", "summary"]

logger = logging.getLogger("mysql_redis_cache.stats")

QUERIES_SHARED = 20
"""How many queries a notice names: those that are read most, and those whose loads took longest in all."""

TEXT_SHARED = 200
"""Characters of their text."""


class Summaries:
    """Logs a line at each call that sums up what happened since the last one.

    Args:
        name: of the client.
        stats: a method that gives the counts so far; what it belongs to is not kept alive.
    """

    def __init__(self, name: str, stats: Callable[[], Stats]) -> None:
        self._name = name
        self._stats = WeakMethod(stats)
        self._before, self._since = stats(), time.monotonic()

    def __call__(self) -> bool:
        """Log it; return whether the client is still there."""
        stats = self._stats()
        if stats is None:
            return False
        now, moment = stats(), time.monotonic()
        text = summary(now - self._before)
        if text:
            logger.info("%s: %s in %.0f s", self._name, text, moment - self._since)
        self._before, self._since = now, moment
        return True


class Notices:
    """Posts at each call what the client has done so far.

    Args:
        name: of the client.
        stats: a method that gives the counts so far; what it belongs to is not kept alive.
        post: takes a name for the notice, its own for each process, and the notice.
    """

    def __init__(self, name: str, stats: Callable[[], Stats], post: Callable[[str, bytes], object]) -> None:
        self._name = name
        self._stats = WeakMethod(stats)
        self._post = post
        self._of: tuple[int, str] = (0, "")

    def __call__(self) -> bool:
        """Post it; return whether the client is still there."""
        stats = self._stats()
        if stats is None:
            return False
        text = json.dumps(notice(self._name, stats()), separators=(",", ":"))
        self._post(self._own_name(), text.encode())
        return True

    def _own_name(self) -> str:
        pid = os.getpid()
        if self._of[0] != pid:
            self._of = (pid, f"{socket.gethostname()}:{pid}:{uuid4().hex[:8]}")
        return self._of[1]


def notice(name: str, stats: Stats) -> dict[str, Any]:
    """Return what is told to those who watch all processes: no value of a param is in it."""
    by_reads = sorted(stats.queries, key=lambda each: each.hits + each.misses, reverse=True)
    by_time = sorted(stats.queries, key=lambda each: each.load_seconds, reverse=True)
    chosen = {each.sha1: each for each in (*by_reads[:QUERIES_SHARED], *by_time[:QUERIES_SHARED])}
    return {
        "client": name,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "at": time.time(),
        "counts": {count: number for count, number in stats.items() if number},
        "queries": [_shared(each) for each in chosen.values()],
    }


def _shared(query: QueryStats) -> dict[str, Any]:
    return {
        "sha1": query.sha1,
        "query": query.query[:TEXT_SHARED],
        "label": query.label,
        "hits": query.hits,
        "misses": query.misses,
        "loads": query.loads,
        "load_seconds": query.load_seconds,
        "worst_load_seconds": query.worst_load_seconds,
    }


def summary(stats: Stats) -> str:
    """Sum up what happened, in one line; nothing if nothing did."""
    unavailable = stats.unavailable
    reads = stats.hits + stats.near_hits + stats.misses + unavailable
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
