"""Drops that follow changes: said if they are wide, counted, and repeated until they are done."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import CacheUnavailable, DropTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from .outdated import Outdated
    from .progress import Progress

__all__ = ["Performing"]

logger = logging.getLogger("mysql_redis_cache.follow")

_LONGEST_PAUSE = 1.0


class Performing:
    """Performs what changes make necessary.

    Args:
        drop: performs a drop; raises ``CacheUnavailable`` or ``DropTimeout``.
        progress: is told how it goes.
        look: called between two attempts; what it raises ends them.
        pause: waits for some seconds, or less.
        clock: tells seconds.
    """

    def __init__(
        self,
        drop: Callable[[Outdated], int],
        progress: Progress,
        look: Callable[[], object],
        pause: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._drop, self._progress = drop, progress
        self._look, self._pause, self._clock = look, pause, clock

    def perform(self, batch: Outdated) -> float:
        """Drop what is outdated; while Redis is away, nothing moves.

        Returns:
            seconds that it took, without the attempts that failed before.
        """
        if not batch:
            return 0.0
        counters = self._progress.counters
        unexpected = {name: reason for name, reason in batch.names.items() if reason}
        for reason in sorted(set(unexpected.values())):
            names = sorted([name for name in unexpected if unexpected[name] == reason])
            logger.warning("the follower drops all entries of %s: %s", ", ".join(names), reason)
        counters.bump("wide", len(unexpected))
        counters.bump("values", len(batch))
        counters.bump("batches")
        dropped, seconds = self._persistently(batch)
        counters.bump("dropped", dropped)
        return seconds

    def _persistently(self, batch: Outdated) -> tuple[int, float]:
        pause = 0.02
        while True:
            began = self._clock()
            try:
                return self._drop(batch), self._clock() - began
            except (CacheUnavailable, DropTimeout) as error:
                if not self._progress.problem:
                    logger.warning("the follower waits for Redis: %s", error)
                self._progress.problem = str(error)
                self._progress.counters.bump("retries")
            self._pause(pause)
            self._look()
            pause = min(2 * pause, _LONGEST_PAUSE)
