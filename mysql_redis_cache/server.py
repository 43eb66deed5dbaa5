"""MRCServer: drops outdated entries when data has changed."""

from __future__ import annotations

from mysql_redis_cache.aio import AsyncMRCServer
from mysql_redis_cache.calls import BlockingServer

__all__ = ["MRCServer"]


class MRCServer(BlockingServer):
    """Drops outdated entries; needs Redis only.

    Safe to share between threads; opens nothing before it is used. ``async with MRCServer(...)`` gives an
    ``AsyncMRCServer`` over this server instead.

    Args:
        redis_config: as for ``MRCClient``, but not ``None``.
        name: what figures and events call it; by default its namespace, or else ``default``.
        namespace: the namespace of the clients whose entries it drops.
        names: the names that drops may have; any other is a ``ValueError``. By default all.
        index: find entries by the index that clients with ``index=True`` keep.
        wait_replicas: how many replicas must have a deletion before a drop returns.
        on_event: a function of one event that hears all of them from the first on.
    """

    async def __aenter__(self) -> AsyncMRCServer:
        self._entered = entered = AsyncMRCServer(self, owned=True)
        return await entered.__aenter__()
