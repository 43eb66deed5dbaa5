"""The master that Sentinel names: asked for at every connect, without redis-py's ten retries."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

import redis
from redis.sentinel import SentinelConnectionPool

from .sharing import sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Masters"]


class Masters:
    """Makes connections to whichever server is the master when they are opened.

    Args:
        given: the ready client's pool.
        taken: the arguments of connections to the master.
        asked: for each sentinel, the kind of its connections and their arguments.

    Attributes:
        on_change: called when Sentinel names another master than before.
    """

    def __init__(
        self,
        given: SentinelConnectionPool,
        taken: Mapping[str, Any],
        asked: Sequence[tuple[type[Any], Mapping[str, Any]]],
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._given = given
        self._taken = {name: value for name, value in taken.items() if name not in {"host", "port"}}
        self._asked = asked
        self._pool: tuple[int, SentinelConnectionPool] | None = None

    def make(self) -> Any:
        """Return an unopened connection."""
        if self._pool is None or self._pool[0] != os.getpid():
            # A child must not wait for locks inside the parent's, which may have been held at the fork.
            self._pool = (os.getpid(), self._new_pool())
        pool = self._pool[1]
        return pool.connection_class(**pool.connection_kwargs)

    def _new_pool(self) -> SentinelConnectionPool:
        sentinel = copy.copy(self._given.sentinel_manager)
        sentinel.sentinels = [
            _Asked(connection_pool=redis.ConnectionPool(connection_class=kind, **arguments))
            for kind, arguments in self._asked
        ]
        kind = sharing(self._given.connection_class)
        pool = _Pool(self._given.service_name, sentinel, connection_class=kind, **self._taken)  # type: ignore[no-untyped-call]
        pool.masters = self
        return pool


class _Asked(redis.Redis):
    """A sentinel; some versions of redis-py show its password in an error that no master was found."""

    def __repr__(self) -> str:
        place = self.connection_pool.connection_kwargs
        return f"<sentinel {place.get('host')}:{place.get('port')}>"


class _Pool(SentinelConnectionPool):
    """Holds no connections, but is told of a new master, for which its own should be closed."""

    masters: Masters

    def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: ARG002 - redis-py's name
        self.masters.on_change()
