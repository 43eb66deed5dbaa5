"""What a client answers at once: no I/O, so the same from an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pool import ConnectionPool
from .watched import Watched

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from mysql_redis_cache.keys import Tagged
    from mysql_redis_cache.observe import Stats, Trace, Watch
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.sql import Params

__all__ = ["Instant"]


class Instant(Watched):
    """Calls that wait for nothing."""

    _core: Core

    def get_key_from_query(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        *,
        tags: Tagged = None,
    ) -> str:
        """Return the key under which a call is cached; no I/O."""
        return self._core.options.namespace.key(query, params, param_names, tags)

    def get_mysql_pool(self) -> ConnectionPool:
        """Return the blocking connection pool for direct use: ``with pool.connection() as connection: …``."""
        self._core.check_open()
        return ConnectionPool(self._core.database.pool)

    def disabled(self) -> AbstractContextManager[None]:
        """Have the cache be off for the block: ``with client.disabled(): …``, in both clients.

        Cached reads of this client in this thread or task, and in tasks that are started inside, go past the
        cache, and ``read_from_cache`` finds nothing. ``write_to_cache`` stores nothing, and deletes what it
        was to replace. Drops are performed as ever. Others are not concerned.
        """
        return self._core.disabled()

    def stats(self) -> Stats:
        """Return what was counted since the client was made, or since the process was forked."""
        return self._core.stats()

    def trace(self) -> AbstractContextManager[Trace]:
        """Note what becomes of reads: ``with client.trace() as trace: …``, then ``trace.reads[0].outcome``.

        It is for the reads of this client in the block, in this thread or task and in tasks started there; it
        costs nothing where it is not used.
        """
        return self._core.observer.trace()

    def _observed(self) -> Watch:
        return self._core.watch
