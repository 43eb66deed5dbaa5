"""Which of several followers leads: a lease in Redis, renewed by a thread, taken over when it has ended."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.store.ledger import Deposed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mysql_redis_cache.runtime import Flag
    from mysql_redis_cache.store.ledger import Ledger

    from .progress import Progress

__all__ = ["Leading", "Stopped"]

logger = logging.getLogger("mysql_redis_cache.follow")


class Stopped(Exception):
    """The follower is to end."""


class Leading:
    """The lead, as one follower has it or waits for it. Two that lead at once do no harm, but for their work.

    Args:
        ledger: keeps it.
        lease: seconds after which it is taken over from one that gives no sign of life.
        progress: is told whether it is ours.
        stopping: raised when the follower is to end.
    """

    def __init__(self, ledger: Ledger, lease: float, progress: Progress, stopping: Flag) -> None:
        self._ledger, self._lease = ledger, lease
        self._progress, self._stopping = progress, stopping

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew it within the block, whenever it is ours; give it up at the block's end, for which stop."""
        renewer = threading.Thread(target=self._renew, name="mrc-follow-lease", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            self._stopping.put_up()
            renewer.join(self._lease)
            self._resign()

    def gain(self) -> None:
        """Wait until it is ours.

        Raises:
            Stopped: the follower is to end.
            CacheUnavailable: Redis did not answer.
        """
        behind = self._ledger.lead()
        if behind is None:
            logger.info("another follower leads; this one stands by")
            behind = self._stand_by()
        if not self._progress.is_leader:
            logger.info("this follower leads")
            self._progress.begin(time.monotonic() - behind)
        self._progress.is_leader = True

    def _stand_by(self) -> float:
        """Wait for the lead; return the seconds by which the one before is behind."""
        while True:
            self._progress.stand_by()
            if self._stopping.wait(self._lease / 4):
                raise Stopped
            behind = self._ledger.lead()
            if behind is not None:
                return behind

    def look(self) -> None:
        """Raise ``Stopped`` if the follower is to end, ``Deposed`` if another leads."""
        if self._stopping.is_raised:
            raise Stopped
        if not self._progress.is_leader:
            raise Deposed("another follower leads")

    def _renew(self) -> None:
        while not self._stopping.wait(self._lease / 4):
            self._progress.warn()
            if not self._progress.is_leader:
                continue
            try:
                self._progress.is_leader = self._ledger.lead(self._progress.lag) is not None
            except CacheUnavailable:  # whoever saves the position next will see
                continue

    def _resign(self) -> None:
        self._progress.is_leader = False
        try:
            self._ledger.resign()
        except CacheUnavailable:
            logger.warning("Redis is away: another follower takes over when the lease has ended")
