"""Idle connections: what is left of DBUtils' ``PooledDB`` when all that waits or repeats is taken away."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

from dbutils.pooled_db import PooledDB

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbutils.steady_db import SteadyDBConnection

    from .connection import Connection

__all__ = ["IdleConnections", "raw"]


def raw(steady: SteadyDBConnection) -> Connection:
    """Return the connection inside DBUtils' wrapper."""
    return cast("Connection", steady._con)  # noqa: SLF001 - its public name came with a later version


class _NeverRaised(Exception):
    """Tells DBUtils which errors to run a statement again after: none."""


class IdleConnections(PooledDB):  # type: ignore[misc]  # DBUtils has no types
    """Idle connections, the last used on top.

    Without DBUtils' lock: that is taken and released in Python, so a signal handler's exception in between
    would leave it taken for good, and a fork may find it taken by a thread that the child does not have. The
    methods of a deque are atomic.

    Args:
        connect: opens a connection.
        size: how many there may be.
    """

    def __init__(self, connect: Callable[[], Connection], size: int) -> None:
        super().__init__(
            connect, maxcached=size, blocking=False, reset=False, failures=(_NeverRaised,), ping=0
        )
        self._idle_cache: deque[SteadyDBConnection] = deque()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._idle_cache)

    def cache(self, con: SteadyDBConnection) -> None:
        """Put a connection on top."""
        self._idle_cache.append(con)

    def pop(self) -> SteadyDBConnection | None:
        """Take the connection used last; None if there is none."""
        try:
            return self._idle_cache.pop()
        except IndexError:
            return None

    def pop_unused_since(self, moment: float, keep: int) -> SteadyDBConnection | None:
        """Take the connection unused for longest, if unused since *moment* and there are more than *keep*."""
        if len(self._idle_cache) <= keep:
            return None
        try:
            steady = self._idle_cache.popleft()
        except IndexError:
            return None
        if raw(steady).idle_since < moment:
            return steady
        self._idle_cache.appendleft(steady)
        return None

    def close(self) -> None:
        """Take leave of the server on each and close it; DBUtils does so, too, when the pool is dropped."""
        while (steady := self.pop()) is not None:
            steady.close()

    def drop_all(self) -> None:
        """Close all without a word, which never waits."""
        while (steady := self.pop()) is not None:
            raw(steady).drop()
