"""AsyncMRCClient: cached reads of MySQL from coroutines."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack

from mysql_redis_cache.calls import PARTS, BlockingClient, Halves, Instant, Listing, Reading

from .borrowing import driven, dropping, in_mysql_thread, in_short_thread, watching
from .decorating import AsyncDecorating
from .driver import LoopDriver
from .facade import Facade
from .threads import shielded
from .transaction import AsyncTransaction, Opening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import anyio

    from mysql_redis_cache.database import ExternalConnection
    from mysql_redis_cache.options import ClientOptions
    from mysql_redis_cache.readthrough import Core

__all__ = ["AsyncMRCClient"]

# Of a client that was deferred; re-entrant, since a signal handler may read.
_setting_up = threading.RLock()


class AsyncMRCClient(Instant, AsyncDecorating, Facade):
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
        mysql_config: BlockingClient | Mapping[str, Any] | str | ExternalConnection,
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
            client = mysql_config._single  # noqa: SLF001 - one client, two faces
        super().__init__(client, owned=owned)
        self._limiter = limiter
        if "_core" in vars(client):
            self._set_up()

    @classmethod
    def deferred(cls) -> Self:
        """Return a client that is configured later, for modules that decorate functions when imported."""
        return cls(BlockingClient.deferred(), owned=True)

    def configure(
        self,
        mysql_config: Mapping[str, Any] | str | ExternalConnection,
        redis_config: object = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        """Configure a client that is ``deferred``; once. As ``MRCClient.configure``, and nothing to await."""
        self._blocking.configure(mysql_config, redis_config, **options)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a part that there is once the blocking client is configured."""
            if name not in PARTS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            with _setting_up:
                if name not in vars(self):
                    self._set_up()
            return vars(self)[name]

    def _set_up(self) -> None:
        core = self._blocking._core  # noqa: SLF001 - one client, two faces
        self._namespace = core.options.namespace
        self._driver = LoopDriver(core, self._limiter)
        self._core = core

    query_with_cache = driven(Reading.query_with_cache)
    with_cache = driven(Reading.with_cache)
    query_many_with_cache = driven(Reading.query_many_with_cache)
    get_many = driven(Listing.get_many)
    read_from_cache = driven(Halves.read_from_cache)
    write_to_cache = driven(Halves.write_to_cache)

    explain = in_short_thread(BlockingClient.explain)

    query = in_mysql_thread(BlockingClient.query)
    execute = in_mysql_thread(BlockingClient.execute)
    query_to_promise = in_mysql_thread(BlockingClient.query_to_promise)

    drop_outdated_cache = dropping(BlockingClient.drop_outdated_cache)
    drop_many = dropping(BlockingClient.drop_many)
    drop_query = dropping(BlockingClient.drop_query)
    drop_all = dropping(BlockingClient.drop_all)
    drop_again = dropping(BlockingClient.drop_again)

    wait_for = watching(BlockingClient.wait_for)

    _blocking: BlockingClient
    _core: Core
    _driver: LoopDriver

    def _let_threads_go(self) -> None:
        if "_driver" in vars(self):
            self._driver.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:
        """Open a transaction: ``async with client.transaction() as tx: …``; as ``MRCClient.transaction``."""
        core = self._core
        core.check_open()
        if core.external is not None:
            raise TypeError("the transactions of this client are its framework's, and begin in blocking code")
        opening = Opening(core.open_transaction())
        try:
            work = await self._driver.loads.in_mysql_thread(opening.enter)
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
