"""The blocking client and server, whole but for ``async with``, which gives what stands above them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, Unpack

from mysql_redis_cache.drops import Drops
from mysql_redis_cache.errors import ClosedError
from mysql_redis_cache.keys import Namespace
from mysql_redis_cache.observe import Watch
from mysql_redis_cache.options import Options, name_of, near_bounds
from mysql_redis_cache.policy import Policy, seconds, wait_seconds
from mysql_redis_cache.readthrough import BlockingDriver, Core
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import PATIENT, link
from mysql_redis_cache.values import zone_of

from .decorating import Decorating
from .dropping import Dropping
from .halves import Halves
from .instant import Instant
from .lasting import Lasting
from .listing import Listing
from .statements import Statements
from .transaction import Transaction
from .waiting import Waiting
from .watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import timedelta, tzinfo

    from mysql_redis_cache.database import ExternalConnection
    from mysql_redis_cache.joined import Work
    from mysql_redis_cache.options import ClientOptions, Near
    from mysql_redis_cache.values import Dates

__all__ = ["PARTS", "UNCONFIGURED", "BlockingClient", "BlockingServer"]

# What a client has once it is configured.
PARTS = frozenset({"_core", "_driver", "_drops", "_namespace"})
UNCONFIGURED = "this client is not configured yet: call its configure(mysql_config, redis_config) first"


class BlockingClient(Decorating, Listing, Halves, Statements, Dropping, Waiting, Instant, Lasting):
    """A client, described as ``MRCClient``."""

    def __init__(
        self,
        mysql_config: Mapping[str, Any] | str | ExternalConnection,
        redis_config: object = None,
        *,
        name: str | None = None,
        namespace: str | None = None,
        names: Collection[str] | None = None,
        index: bool = False,
        dates: Dates = "iso",
        timezone: str | tzinfo | None = None,
        stale_while_revalidate: float | timedelta = 0,
        stale_if_error: float | timedelta = 0,
        early_refresh: float = 0,
        wait_timeout: float = 15.0,
        max_entry_bytes: int | None = None,
        wait_replicas: int = 0,
        near: bool | Near = False,
        log_stats: float | timedelta | None = None,
        share_stats: bool = False,
        verify: float = 0,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        policy = Policy(
            stale_while_revalidate=seconds("stale_while_revalidate", stale_while_revalidate),
            stale_if_error=seconds("stale_if_error", stale_if_error),
            early_refresh=early_refresh,
            wait_timeout=wait_timeout,
        )
        zone = zone_of(timezone)
        self._namespace = Namespace(namespace, names, zone)
        options = Options(
            self._namespace,
            index,
            dates,
            zone,
            max_entry_bytes,
            wait_replicas,
            policy,
            near_bounds(near),
            name_of(name, self._namespace.prefix[:-1]),
            None if log_stats is None else wait_seconds("log_stats", log_stats),
            share_stats,
            verify,
            on_event,
        )
        self._core = Core(mysql_config, redis_config, options)
        self._drops = self._core.drops
        self._driver = BlockingDriver(self._core)

    @classmethod
    def deferred(cls) -> Self:
        """Return a client that is configured later, for modules that decorate functions when imported."""
        return cls.__new__(cls)

    def configure(
        self,
        mysql_config: Mapping[str, Any] | str | ExternalConnection,
        redis_config: object = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        """Configure a client that is ``deferred``; once.

        Args:
            mysql_config: as for the client.
            redis_config: as for the client.
            **options: as for the client.

        Raises:
            RuntimeError: it is configured already.
            TypeError, ValueError: as of the client.
        """
        if "_core" in vars(self):
            raise RuntimeError("this client is configured already; make another one")
        BlockingClient.__init__(self, mysql_config, redis_config, **options)

    @property
    def _single(self) -> BlockingClient:
        """The client itself; of one that stands for several, the one that is meant here."""
        return self

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in PARTS:
                raise RuntimeError(UNCONFIGURED)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction on a connection of its own: ``with client.transaction() as tx: …``.

        The block's end commits and then performs the drops asked for by ``tx.drop_outdated_cache``; an
        exception in the block rolls back. All that this thread or task asks of this client inside the block
        is part of it: cached reads go to the transaction, past the cache, and drops wait for the COMMIT. A
        transaction inside it is a savepoint: if its block raises, what it did and its drops are undone.
        One is open at a time.

        Raises:
            InvalidationFailed: (at the block's end) committed, but a drop failed; do not repeat the write.
            DatabaseUnavailable: the connection was lost. If that was during COMMIT, whether it took effect is
                unknown, and the drops were performed.
        """
        core = self._core
        core.check_open()
        with core.open_transaction() as work, core.transactions.mark(work):
            yield Transaction(work)

    def _transaction_here(self) -> Work | None:
        return self._core.transaction_here()

    def _drain_redis(self) -> None:
        self._core.drain_redis()

    def _end(self) -> None:
        if "_core" in vars(self):
            self._core.close()

    def _check_open(self) -> None:
        self._core.check_open()


class BlockingServer(Dropping, Waiting, Watched, Lasting):
    """A server, described as ``MRCServer``."""

    def __init__(
        self,
        redis_config: object,
        *,
        name: str | None = None,
        namespace: str | None = None,
        names: Collection[str] | None = None,
        index: bool = False,
        wait_replicas: int = 0,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        self._namespace = Namespace(namespace, names)
        self._link = link(redis_config, timeout=PATIENT)
        self._own_watch = Watch(name_of(name, self._namespace.prefix[:-1]), on_event)
        self._drops: Drops | None = Drops(
            self._link, self._namespace, indexed=index, wait_replicas=wait_replicas, watch=self._own_watch
        )
        self._closed = False

    def _observed(self) -> Watch:
        return self._own_watch

    def _drain_redis(self) -> None:
        self._link.drain()

    def _end(self) -> None:
        self._closed = True
        self._link.close()

    def _check_open(self) -> None:
        process.check()
        if self._closed:
            raise ClosedError("this server is closed; make a new one")
