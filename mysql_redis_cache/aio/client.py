"""AsyncMRCClient: cached reads of MySQL from coroutines."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from mysql_redis_cache.calls import BlockingClient, Decorating, Halves, Instant, Reading

from .borrowing import as_it_is, driven, dropping, in_mysql_thread
from .driver import LoopDriver
from .facade import Facade
from .threads import shielded
from .transaction import AsyncTransaction, Opening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import anyio

    from mysql_redis_cache.options import ClientOptions

__all__ = ["AsyncMRCClient"]


class AsyncMRCClient(Instant, Facade):
    """Reads MySQL through a Redis cache, from coroutines; asyncio and trio alike.

    Each method does what the method of the same name of ``MRCClient`` does; those that need no I/O are not to
    be awaited. One facade may be used from several event loops, one after another and at once.

    Args:
        mysql_config: as for ``MRCClient``; or a ready ``MRCClient``, which stays its maker's to close.
        redis_config: as for ``MRCClient``.
        limiter: bounds the threads for MySQL and for plain functions, in each event loop, beyond what bounds
            them anyway: a connection for each, and forty plain functions in the process.
        owned: close a ready client when this facade is closed.
        **options: as for ``MRCClient``.
    """

    def __init__(
        self,
        mysql_config: BlockingClient | Mapping[str, Any] | str,
        redis_config: object = None,
        *,
        limiter: anyio.CapacityLimiter | None = None,
        owned: bool = False,
        **options: Unpack[ClientOptions],
    ) -> None:
        if not isinstance(mysql_config, BlockingClient):
            client, owned = BlockingClient(mysql_config, redis_config, **options), True
        elif redis_config is not None or options:
            raise TypeError("a ready MRCClient brings its own redis_config and options")
        else:
            client = mysql_config
        super().__init__(client, owned=owned)
        self._core = client._core  # noqa: SLF001 - one client, two faces
        self._driver = LoopDriver(self._core, limiter)

    query_with_cache = driven(Reading.query_with_cache)
    with_cache = driven(Reading.with_cache)
    query_many_with_cache = driven(Reading.query_many_with_cache)
    cached = as_it_is(Decorating.cached)
    read_from_cache = driven(Halves.read_from_cache)
    write_to_cache = driven(Halves.write_to_cache)

    query = in_mysql_thread(BlockingClient.query)
    execute = in_mysql_thread(BlockingClient.execute)
    query_to_promise = in_mysql_thread(BlockingClient.query_to_promise)

    drop_outdated_cache = dropping(BlockingClient.drop_outdated_cache)
    drop_many = dropping(BlockingClient.drop_many)
    drop_query = dropping(BlockingClient.drop_query)
    drop_all = dropping(BlockingClient.drop_all)
    drop_again = dropping(BlockingClient.drop_again)

    def _let_threads_go(self) -> None:
        self._driver.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:
        """Open a transaction: ``async with client.transaction() as tx: …``; as ``MRCClient.transaction``."""
        core = self._core
        core.check_open()
        opening = Opening(core.open_transaction())
        try:
            work = await self._driver.in_mysql_thread(opening.enter)
        except BaseException:
            if opening.abandon():
                core.background.submit(opening, opening.leave)
            raise
        try:
            with core.transactions.mark(work):
                yield AsyncTransaction(work)
        except BaseException as error:
            await shielded(partial(opening.leave, error))
            raise
        await shielded(opening.leave)
