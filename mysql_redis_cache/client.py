"""MRCClient: cached reads of MySQL for blocking code."""

from __future__ import annotations

from mysql_redis_cache.aio import AsyncMRCClient
from mysql_redis_cache.calls import BlockingClient

__all__ = ["MRCClient"]


class MRCClient(BlockingClient):
    """Reads MySQL through a Redis cache, from blocking code: views, scripts, workers.

    Safe to share between threads and to keep for the life of the process; opens nothing before it is used.
    ``async with MRCClient(...)`` gives an ``AsyncMRCClient`` over this client instead.

    Args:
        mysql_config: dict (``host port user password db charset ssl_ca … minsize maxsize pool_timeout
            query_timeout``) or ``mysql://user:password@host:3306/db?charset=utf8mb4``; or a framework's own
            connection, see ``mysql_redis_cache.contrib``.
        redis_config: dict of redis-py's arguments, URL (``redis://``, ``rediss://``, ``unix://``), a ready
            ``redis.Redis``, ``redis.RedisCluster`` or Sentinel master client (only its connection arguments
            are taken), or ``None`` for no cache.
        name: what figures and events call it; by default its namespace, or else ``default``.
        namespace: stands in front of every key, for databases that share one Redis database.
        names: the names that params, tags and drops may have; any other is a ``ValueError``. By default all.
        index: register entries so that drops cost O(matches); all clients and servers must agree.
        dates: ``"npm"`` writes dates as a Node process at UTC does.
        timezone: of DATETIME columns and of the sessions, ``"UTC"``, another name or a tzinfo: aware
            datetimes are taken as params, and given by ``into=``.
        stale_while_revalidate: seconds (or timedelta) past its ttl for which an entry is served while it is
            refreshed behind the reader's back.
        stale_if_error: seconds (or timedelta) past its ttl for which an entry is served if the load fails.
        early_refresh: β of the XFetch early refresh; 0 is off, 1 is usual.
        wait_timeout: seconds to wait for somebody else's load of the same key, before one of those who wait
            loads it once more for all of them.
        max_entry_bytes: larger results are returned but not cached.
        wait_replicas: how many Redis replicas must have a deletion before a drop returns.
        near: keep what is read often in this process too: ``True``, or a ``Near`` with bounds. Other
            processes' drops then reach this one a push later, at most ``Near.ttl`` or ``Near.heartbeat``.

        log_stats: seconds (or timedelta) between two lines in the log that sum up what happened; ``None`` for
            none. They are of the logger ``mysql_redis_cache.stats``, at INFO.
        share_stats: post the counts in Redis every few seconds, where ``mrc stats`` and ``mrc top`` see those
            of all processes.
        verify: the share of hits, from 0 to 1, whose entries are compared with MySQL behind the reader's
            back; outdated ones, whose drop was forgotten, are logged, counted and told.
        on_event: a function of one event that hears all of them from the first on, as by
            ``events.subscribe``, for clients that are made from settings.

    Raises:
        TypeError: a configuration of the wrong type.
        ValueError: an unknown option, named, or a bad value.
    """

    async def __aenter__(self) -> AsyncMRCClient:
        self._entered = entered = AsyncMRCClient(self, owned=True)
        return await entered.__aenter__()
