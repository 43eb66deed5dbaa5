"""Whether to ask Redis, by what became of earlier questions; and one logged line per change of that."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from mysql_redis_cache.observe import RedisDown, RedisUp
from mysql_redis_cache.store import Exhausted

from .breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.errors import CacheUnavailable
    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.store import Refused

__all__ = ["Guard"]

logger = logging.getLogger("mysql_redis_cache.redis")

QUIET_SECONDS = 60.0
"""For so long after a trouble was told, another that is over after a failure or two is not."""


class Guard:
    """Two breakers: one for Redis as a whole, and one for its writes.

    A server that is full, or a replica, answers reads and refuses leases and fills: what it has goes on being
    served. Moments are seconds of ``time.monotonic``.

    Args:
        probe_behind: has Redis asked by a thread in the background, and returns whether there is one; where
            there is none, a reader has to ask.
        watch: is told of troubles too.

    Attributes:
        breaker: that of Redis as a whole.
    """

    def __init__(self, probe_behind: Callable[[], bool], watch: Watch) -> None:
        self.breaker = Breaker()
        self._writes = Breaker()
        self._probe_behind = probe_behind
        self._silence = _Trouble(
            "Redis is failing; reads go to MySQL until it is back: %s",
            "Redis is back; reads are cached again",
            watch,
        )
        self._refusals = _Trouble(
            "Redis takes no writes; what it has is served, and nothing is cached: %s",
            "Redis takes writes again; reads are cached again",
            watch,
        )

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
        self.breaker.succeeded(began)
        if self._silence.is_told and self.breaker.is_closed:
            self._silence.is_over(began)

    def took_write(self, began: float) -> None:
        """Note that it granted a lease asked for at *began*."""
        self._writes.succeeded(began)
        if self._refusals.is_told and self._writes.is_closed:
            self._refusals.is_over(began)

    def failed(self, error: CacheUnavailable, began: float) -> None:
        """Note that it did not answer what was asked at *began*."""
        if isinstance(error, Exhausted):  # a crowd on our own connections says nothing of Redis
            return
        now = time.monotonic()
        self._silence.is_there(error, now, is_certain=self.breaker.failed(began, now))

    def refused(self, error: Refused, began: float) -> None:
        """Note that it refused a lease or a fill asked for at *began*; that is an answer."""
        now = time.monotonic()
        self._refusals.is_there(error, now, is_certain=self._writes.failed(began, now))


class _Trouble:
    """One kind of trouble: told when it is first met, since a script may meet it only once, and when it ends.

    Args:
        beginning: the line for the one, with the error.
        end: the line for the other.
        watch: is told, too.
    """

    def __init__(self, beginning: str, end: str, watch: Watch) -> None:
        self._watch = watch
        self._beginning = beginning
        self._end = end
        self._told_at = -math.inf
        # Whoever takes it out tells, of all threads that meet the trouble at one time.
        self._untold = [True]

    @property
    def is_told(self) -> bool:
        """Whether it was told and is not known to be over."""
        return not self._untold

    def is_there(self, error: Exception, now: float, *, is_certain: bool) -> None:
        """Tell it, unless that was done: at once the first time, later if it *is_certain* to last."""
        if not is_certain and now - self._told_at < QUIET_SECONDS:
            return
        try:
            self._untold.pop()
        except IndexError:
            return
        self._told_at = now
        logger.warning(self._beginning, str(error))  # who keeps the record keeps none of the frames
        if self._watch.events.heard:
            self._watch.tell(RedisDown(error=str(error)))

    def is_over(self, began: float) -> None:
        """Tell that it is over, unless what went well had begun before it was told."""
        if self.is_told and began >= self._told_at:
            self._untold.append(True)
            logger.warning(self._end)
            if self._watch.events.heard:
                self._watch.tell(RedisUp())
