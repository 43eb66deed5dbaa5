"""The blocking client and server, whole but for ``async with``, which gives what stands above them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.drops import Drops
from mysql_redis_cache.errors import ClosedError
from mysql_redis_cache.keys import check_namespace
from mysql_redis_cache.options import Options
from mysql_redis_cache.policy import Policy, seconds
from mysql_redis_cache.readthrough import BlockingDriver, Core
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import PATIENT, link
from mysql_redis_cache.transaction import transaction

from .dropping import Dropping
from .instant import Instant
from .lasting import Lasting
from .reading import Reading
from .statements import Statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.transaction import Transaction
    from mysql_redis_cache.values import Dates

__all__ = ["BlockingClient", "BlockingServer"]


class BlockingClient(Reading, Statements, Dropping, Instant, Lasting):
    """A client, described as ``MRCClient``."""

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
        with transaction(core.database, core.drops, core.options.prefix) as tx, core.transactions.mark(tx):
            yield tx

    def drop_query(self, query: str, params: Params = None, param_names: Sequence[str] | None = ()) -> bool:
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


class BlockingServer(Dropping, Lasting):
    """A server, described as ``MRCServer``."""

    def __init__(
        self,
        redis_config: object,
        *,
        namespace: str | None = None,
        index: bool = False,
        wait_replicas: int = 0,
    ) -> None:
        self._link = link(redis_config, timeout=PATIENT)
        self._drops = Drops(
            self._link, check_namespace(namespace), indexed=index, wait_replicas=wait_replicas
        )
        self._closed = False

    def _drain_redis(self) -> None:
        self._link.drain()

    def _end(self) -> None:
        self._closed = True
        self._link.close()

    def _check_open(self) -> None:
        process.check()
        if self._closed:
            raise ClosedError("this server is closed; make a new one")
