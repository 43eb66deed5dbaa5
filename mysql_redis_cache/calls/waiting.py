"""Waiting for a follower: who has written reads afterwards what was written."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import FollowTimeout
from mysql_redis_cache.gtids import covers, is_gtids
from mysql_redis_cache.policy import Policy, wait_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.drops import Drops

__all__ = ["WAIT_TIMEOUT", "Waiting"]

WAIT_TIMEOUT = 10.0


class Waiting:
    """Waits for what a follower of the binary log drops, by a client and by a server alike."""

    _drops: Drops | None

    def _check_open(self) -> None:
        """Raise ``ClosedError`` after ``close``."""
        raise NotImplementedError

    def wait_for(self, gtid: str | None, timeout: float = WAIT_TIMEOUT, *, name: str = "default") -> None:
        """Wait until a follower has dropped what a write has made outdated.

        A cached read that starts after this has returned sees the write.

        Args:
            gtid: the write's: of a ``WriteResult``, or of a ``Transaction`` after its block.
            timeout: seconds to wait at most.
            name: the follower's.

        Raises:
            TypeError, ValueError: *gtid* is none, or ``None``; before anything is sent.
            FollowTimeout: the time is over.
            CacheUnavailable: Redis could not be reached.
        """
        watch = self._watch(gtid, timeout, name=name)
        while (pause := watch.look()) is not None:
            time.sleep(pause)

    def _watch(self, gtid: str | None, timeout: float = WAIT_TIMEOUT, *, name: str = "default") -> _Watch:
        self._check_open()
        return _Watch(_checked(gtid), wait_seconds("timeout", timeout), name, self._drops, self._check_open)


class _Watch:
    """Looks at how far a follower is.

    Args:
        gtid: for which transactions.
        timeout: for how many seconds, from now on.
        name: the follower's.
        drops: tells how far it is; ``None`` without a cache.
        check_open: raises ``ClosedError`` after ``close``.
    """

    def __init__(
        self, gtid: str, timeout: float, name: str, drops: Drops | None, check_open: Callable[[], object]
    ) -> None:
        self._gtid, self._timeout, self._name = gtid, timeout, name
        self._drops, self._check_open = drops, check_open
        self._began = time.monotonic()
        self._is_known = False

    @property
    def left(self) -> float:
        """Seconds until the time is over."""
        return self._began + self._timeout - time.monotonic()

    def look(self) -> float | None:
        """Look; return for how long to wait until the next look, ``None`` if it has got there.

        Raises:
            FollowTimeout: it has not, and the time is over.
            CacheUnavailable: Redis could not be reached.
        """
        self._check_open()
        if self._drops is None:  # nothing is cached
            return None
        left, followed = self.left, self._drops.followed(self._name)
        self._is_known = followed is not None
        if followed is not None and is_gtids(followed) and covers(followed, self._gtid):
            return None
        if left <= 0:
            raise self.too_late()
        return min(left, Policy().pause(self._timeout - left, random.random))

    def too_late(self) -> FollowTimeout:
        """Return what to raise when the time is over."""
        return FollowTimeout(self._timeout, self._name, self._is_known)


def _checked(gtid: str | None) -> str:
    if gtid is None:
        raise ValueError(
            "the write has no GTID to wait for: it changed nothing, or the server keeps no binary log, has "
            "gtid_mode=OFF or does not tell"
        )
    if not isinstance(gtid, str):
        raise TypeError(f"gtid must be a str, not {type(gtid).__name__}")
    if not is_gtids(gtid):
        raise ValueError(f"{gtid!r} is no GTID, such as 0-1-7 of MariaDB, or uuid:7 of MySQL")
    return gtid
