"""Whether to ask Redis, by what became of earlier questions; and one logged line per change of that."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mysql_redis_cache.store import Exhausted

from .breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.errors import CacheUnavailable
    from mysql_redis_cache.store import Refused

__all__ = ["Guard"]

logger = logging.getLogger("mysql_redis_cache")


class Guard:
    """Two breakers: one for Redis as a whole, and one for its writes.

    A server that is full, or a replica, answers reads and refuses leases and fills: what it has goes on being
    served. Moments are seconds of ``time.monotonic``.

    Args:
        probe_behind: has Redis asked by a thread in the background, and returns whether there is one; where
            there is none, a reader has to ask.

    Attributes:
        breaker: that of Redis as a whole.
    """

    def __init__(self, probe_behind: Callable[[], bool]) -> None:
        self.breaker = Breaker()
        self._writes = Breaker()
        self._probe_behind = probe_behind

    def allows(self, now: float) -> bool:
        """Return whether to ask Redis at all."""
        if self.breaker.is_closed:
            return True
        return self.breaker.allows(now) and not self._probe_behind()

    def allows_claims(self, now: float) -> bool:
        """Return whether to ask it for leases."""
        return self.allows(now) and self._writes.allows(now)

    def answered(self, began: float) -> None:
        """Note that Redis answered what was asked at *began*."""
        if self.breaker.succeeded(began):
            logger.warning("Redis is back; reads are cached again")

    def took_write(self, began: float) -> None:
        """Note that it granted a lease asked for at *began*."""
        if self._writes.succeeded(began):
            logger.warning("Redis takes writes again; reads are cached again")

    def failed(self, error: CacheUnavailable, began: float) -> None:
        """Note that it did not answer what was asked at *began*."""
        # A crowd on our own connections says nothing of Redis.
        if not isinstance(error, Exhausted) and self.breaker.failed(began, time.monotonic()):
            logger.warning("Redis is failing; reads go to MySQL until it is back: %s", error)

    def refused(self, error: Refused, began: float) -> None:
        """Note that it refused a lease or a fill asked for at *began*; that is an answer."""
        if self._writes.failed(began, time.monotonic()):
            logger.warning("Redis takes no writes; what it has is served, and nothing is cached: %s", error)
