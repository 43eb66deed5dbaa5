"""MRCClient: cached reads of MySQL for blocking code."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.calls import Dropping, Instant, Lasting, Reading, Statements
from mysql_redis_cache.options import Options
from mysql_redis_cache.policy import Policy, seconds
from mysql_redis_cache.readthrough import BlockingDriver, Core
from mysql_redis_cache.transaction import inside, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from mysql_redis_cache.aio import AsyncMRCClient
    from mysql_redis_cache.transaction import Transaction
    from mysql_redis_cache.values import Dates

__all__ = ["MRCClient"]


class MRCClient(Reading, Statements, Dropping, Instant, Lasting):
    """Reads MySQL through a Redis cache, from blocking code: views, scripts, workers.

    Safe to share between threads and to keep for the life of the process; opens nothing before it is used.
    ``async with MRCClient(...)`` gives an ``AsyncMRCClient`` over this client instead.

    Args:
        mysql_config: dict (``host port user password db charset ssl_ca … minsize maxsize pool_timeout
            query_timeout``) or ``mysql://user:password@host:3306/db?charset=utf8mb4``.
        redis_config: dict of redis-py's arguments, URL (``redis://``, ``rediss://``, ``unix://``), a ready
            ``redis.Redis``, ``redis.RedisCluster`` or Sentinel master client (only its connection arguments
            are taken), or ``None`` for no cache.
        namespace: stands in front of every key, for databases that share one Redis database.
        index: register entries so that drops cost O(matches); all clients and servers must agree.
        dates: ``"npm"`` writes dates as a Node process at UTC does.
        stale_while_revalidate: seconds (or timedelta) past its ttl for which an entry is served while it is
            refreshed behind the reader's back.
        stale_if_error: seconds (or timedelta) past its ttl for which an entry is served if the load fails.
        early_refresh: β of the XFetch early refresh; 0 is off, 1 is usual.
        wait_timeout: seconds to wait for somebody else's load of the same key before loading oneself.
        max_entry_bytes: larger results are returned but not cached.
        wait_replicas: how many Redis replicas must have a deletion before a drop returns.

    Raises:
        TypeError: a configuration of the wrong type.
        ValueError: an unknown option, named, or a bad value.
    """

    def __init__(
        self,
        mysql_config: Mapping[str, Any] | str,
        redis_config: object = None,
        *,
        namespace: str | None = None,
        index: bool = False,
        dates: Dates = "iso",
        stale_while_revalidate: float | timedelta = 0,
        stale_if_error: float | timedelta = 0,
        early_refresh: float = 0,
        wait_timeout: float = 15.0,
        max_entry_bytes: int | None = None,
        wait_replicas: int = 0,
    ) -> None:
        policy = Policy(
            stale_while_revalidate=seconds("stale_while_revalidate", stale_while_revalidate),
            stale_if_error=seconds("stale_if_error", stale_if_error),
            early_refresh=early_refresh,
            wait_timeout=wait_timeout,
        )
        options = Options(namespace, index, dates, max_entry_bytes, wait_replicas, policy)
        self._core = Core(mysql_config, redis_config, options)
        self._drops = self._core.drops
        self._driver = BlockingDriver(self._core)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction on a connection of its own: ``with client.transaction() as tx: …``.

        The block's end commits and then performs the drops asked for by ``tx.drop_outdated_cache``; an
        exception in the block rolls back. Cached reads of this client inside the block go to the
        transaction, past the cache.

        Raises:
            InvalidationFailed: (at the block's end) committed, but a drop failed; do not repeat the write.
            DatabaseUnavailable: the connection was lost. If that was during COMMIT, whether it took effect is
                unknown, and the drops were performed.
        """
        core = self._core
        core.check_open()
        with transaction(core.database, core.drops, core.options.prefix) as tx, inside(tx):
            yield tx

    def drop_query(
        self, query: str, params: Sequence[object] | None = None, param_names: Sequence[str] = ()
    ) -> bool:
        """Delete the one entry of this call; the only way for entries without named params.

        Returns:
            whether it was cached.

        Raises:
            CacheUnavailable: Redis did not answer; the entry may still be there.
        """
        core = self._core
        core.check_open()
        key = core.reads.key(query, params, param_names)
        return core.cache is not None and core.cache.drop_key(key)

    def _drain_redis(self) -> None:
        self._core.drain_redis()

    def _end(self) -> None:
        self._core.close()

    def _check_open(self) -> None:
        self._core.check_open()

    async def __aenter__(self) -> AsyncMRCClient:
        # The one arrow up: whoever never asks for it need not import anyio.
        from mysql_redis_cache.aio import AsyncMRCClient  # noqa: PLC0415

        self._entered = entered = AsyncMRCClient(self, owned=True)
        return await entered.__aenter__()
