"""MRCClient: cached reads of MySQL for blocking code."""

from __future__ import annotations

import inspect
import time
from contextlib import contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, ParamSpec, Self, TypedDict, TypeVar, Unpack

from mysql_redis_cache import sql
from mysql_redis_cache.drops import DROP_TIMEOUT
from mysql_redis_cache.keys import Matcher
from mysql_redis_cache.options import Options
from mysql_redis_cache.policy import DEFAULT_TTL, Policy, seconds
from mysql_redis_cache.readthrough import steps as readthrough
from mysql_redis_cache.readthrough.core import Core, loading
from mysql_redis_cache.readthrough.functions import (
    Stopped,
    check_function,
    passable,
    positional_arguments,
)
from mysql_redis_cache.readthrough.many import AcquireMany, GetMany, JoinNow, Perform, read_many
from mysql_redis_cache.readthrough.steps import (
    Acquire,
    Entry,
    Fill,
    Get,
    Join,
    Load,
    Refresh,
    Release,
    Seal,
    Seat,
    Settle,
    Wait,
)
from mysql_redis_cache.transaction import inside, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from mysql_redis_cache.database import Pool, WriteResult
    from mysql_redis_cache.readthrough.many import Job, Task
    from mysql_redis_cache.readthrough.reads import Read
    from mysql_redis_cache.readthrough.steps import Shared, Step, Steps
    from mysql_redis_cache.transaction import Transaction
    from mysql_redis_cache.values import Dates, Row

__all__ = ["MRCClient", "Windows"]

NEEDS_FACADE = "fn gives an awaitable: a coroutine function needs AsyncMRCClient"

P = ParamSpec("P")
T = TypeVar("T")


class Windows(TypedDict, total=False):
    """Freshness windows of one call, instead of the client's."""

    stale_while_revalidate: float | timedelta
    stale_if_error: float | timedelta
    early_refresh: float


class MRCClient:
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

    # Set by the room above, which this one must not import.
    facade: ClassVar[Callable[..., Any]]

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
        core = self.core = Core(mysql_config, redis_config, options)
        self._performers: dict[type[Step], Callable[[Read, Any], Any]] = {
            Join: self._join,
            Load: core.load,
            Seal: core.seal,
            Settle: core.settle,
            Wait: self._wait,
            Refresh: self.refresh_behind,
        }
        self._cache: Any = core.cache  # None without Redis, and then no step asks for it
        if core.cache is not None:
            cache = core.cache
            self._performers |= {
                Get: cache.get,
                Acquire: cache.acquire,
                Fill: cache.fill,
                Release: cache.release,
            }

    # Cached reads

    def query_with_cache(
        self,
        query: str,
        params: Sequence[object] | None = None,
        param_names: Sequence[str] = (),
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> Any:
        """Answer a query from Redis, or else from MySQL, and cache the answer.

        Args:
            query: one statement that reads, with ``?`` placeholders (or ``%s``).
            params: one value for each placeholder.
            param_names: names of the first params; a drop finds the entry by them.
            ttl: seconds (or timedelta) to keep the answer, ± 10 %.
            refresh: load and cache anew, whatever is cached.
            cache: ``False`` neither reads nor writes the cache.
            **windows: ``stale_while_revalidate``, ``stale_if_error``, ``early_refresh`` for this call.

        Returns:
            the rows, a list of dicts; the same on a hit and on a miss. CALL gives what mysql2 gives.

        Raises:
            TypeError, ValueError: bad arguments, before anything is sent.
            DatabaseUnavailable: a miss, and MySQL cannot be reached (a ``ConnectionError``).
            PoolTimeout: a miss, and no connection became free in time.
            QueryTimeout: a miss, and the query took longer than ``query_timeout``.
            pymysql.MySQLError: what the server answered to the query.
        """
        core = self.core
        core.check_open()
        read = core.reads.of_query(query, params, param_names, ttl, windows)
        return self._run(core.steps(read, refresh=refresh, cache=cache), read)

    def with_cache(
        self,
        fn: Callable[[], Any],
        query: str,
        params: Sequence[object] | None = None,
        param_names: Sequence[str] = (),
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> Any:
        """Answer a call of *fn* from Redis, or else call it and cache what it returns.

        Args:
            fn: called without arguments on a miss; what it raises passes through.
            query: the signature under which to cache, such as ``"weather_api_v1"``.
            params: as for ``query_with_cache``.
            param_names: as for ``query_with_cache``.
            ttl: as for ``query_with_cache``.
            refresh: as for ``query_with_cache``.
            cache: as for ``query_with_cache``.
            **windows: as for ``query_with_cache``.

        Returns:
            what *fn* returned, in the form in which JSON gives it back: the same on a hit and on a miss.

        Raises:
            TypeError: *fn* returned something without JSON form; the message says where in it.
        """
        core = self.core
        core.check_open()
        check_function(fn)
        if inspect.iscoroutinefunction(fn):
            raise TypeError(NEEDS_FACADE)
        read = core.reads.of_function(query, params, param_names, ttl, windows)
        read.load = lambda: core.loaded(_call_plain(fn, read.key))
        return self._run(core.steps(read, refresh=refresh, cache=cache), read)

    def query_many_with_cache(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> list[Any]:
        """Answer several queries, all hits in one round trip; misses are loaded and cached.

        Args:
            queries: ``(query, params, param_names)`` of each, the last two optional; one may stand there
                twice.
            ttl: as for ``query_with_cache``.
            refresh: as for ``query_with_cache``.
            cache: as for ``query_with_cache``.
            **windows: as for ``query_with_cache``.

        Returns:
            what ``query_with_cache`` would return for each, in order.

        Raises:
            Exception: as ``query_with_cache``; what was loaded before the failure stays cached.
        """
        self.core.check_open()
        batch = self.core.batch(queries, ttl, windows, refresh=refresh, cache=cache)
        self._run_many(list(batch.jobs.values()))
        return batch.values()

    def cached(
        self, query: str, param_names: Sequence[str] = (), ttl: float | timedelta = DEFAULT_TTL
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorate a function: its calls go through ``with_cache``, its arguments are the params.

        Args:
            query: the signature under which to cache.
            param_names: names of the first arguments.
            ttl: as for ``query_with_cache``.

        Raises:
            TypeError: (of the decorator) the function has keyword-only arguments, which have no place in a
                key, or is a coroutine function.
            TypeError, ValueError: bad names or ttl.
        """
        self.core.reads.check_signature(query, param_names, ttl)

        def decorate(fn: Callable[P, T]) -> Callable[P, T]:
            positional = positional_arguments(fn, param_names)
            if inspect.iscoroutinefunction(fn):
                raise TypeError(NEEDS_FACADE)

            @wraps(fn)
            def call(*args: P.args, **kwargs: P.kwargs) -> T:
                params = positional(*args, **kwargs)
                return self.with_cache(partial(fn, *args, **kwargs), query, params, param_names, ttl)  # type: ignore[no-any-return]

            return call

        return decorate

    def read_from_cache(
        self,
        query: str,
        params: Sequence[object] | None = None,
        param_names: Sequence[str] = (),
        default: Any = None,
    ) -> Any:
        """Return what is cached, or *default*; MySQL is not asked.

        Args:
            query: as it was cached.
            params: as it was cached.
            param_names: as it was cached.
            default: returned on a miss, and when Redis does not answer; a sentinel of your own tells a
                cached ``None`` from a miss.
        """
        core = self.core
        core.check_open()
        read = core.reads.of_function(query, params, param_names, DEFAULT_TTL)
        entry = None if core.cache is None else core.cache.get(read)
        return entry.value if isinstance(entry, Entry) else default

    def write_to_cache(
        self,
        query: str,
        value: Any,
        params: Sequence[object] | None = None,
        param_names: Sequence[str] = (),
        ttl: float | timedelta = DEFAULT_TTL,
    ) -> None:
        """Cache *value*; a load in flight does not overwrite it. Without Redis configured, do nothing.

        Raises:
            CacheUnavailable: Redis did not take it.
            TypeError: the value has no JSON form; the message says where in it.
        """
        core = self.core
        core.check_open()
        read = core.reads.of_function(query, params, param_names, ttl)
        if core.cache is None:
            core.check_value(value)
            return
        core.cache.write(read, value)

    def get_key_from_query(
        self, query: str, params: Sequence[object] | None = None, param_names: Sequence[str] = ()
    ) -> str:
        """Return the key under which a call is cached; no I/O."""
        return self.core.reads.key(query, params, param_names)

    # Straight to MySQL

    def query(self, query: str, params: Sequence[object] | None = None) -> list[Row]:
        """Run a statement that reads, uncached, and return its rows.

        Raises:
            ValueError: it gives no rows; also what cannot be sent.
        """
        self.core.check_open()
        sql.statement(query).check_rows()
        return self.core.database.query(query, params)

    def execute(self, query: str, params: Sequence[object] | None = None) -> WriteResult:
        """Run a statement that writes; it is committed when this returns.

        Raises:
            ValueError: it gives rows and does nothing else; also what cannot be sent.
        """
        self.core.check_open()
        sql.statement(query).check_effect()
        return self.core.database.execute(query, params)

    def query_to_promise(self, query: str, params: Sequence[object] | None = None) -> list[Row] | WriteResult:
        """Run any statement, uncached: rows of one that reads, a ``WriteResult`` of one that writes."""
        self.core.check_open()
        return self.core.database.run(query, params)

    def get_mysql_pool(self) -> Pool:
        """Return the connection pool for direct use: ``with pool.connection() as connection: …``."""
        self.core.check_open()
        return self.core.database.pool

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
        self.core.check_open()
        with transaction(self.core.database, self.core.drops, self.core.options.prefix) as tx, inside(tx):
            yield tx

    # Drops

    def drop_outdated_cache(
        self,
        key_names: Sequence[str],
        key_values: Sequence[object],
        require_all_match: bool = True,
        *,
        dry_run: bool = False,
        timeout: float = DROP_TIMEOUT,
        retry_for: float = 0.0,
    ) -> int:
        """Delete the entries that carry the pairs; as ``MRCServer.drop_outdated_cache``, which see."""
        self.core.check_open()
        if self.core.drops is None:
            Matcher(key_names, key_values, require_all_match)  # bad pairs are an error here too
            return 0
        return self.core.drops.drop(
            key_names,
            key_values,
            require_all=require_all_match,
            dry_run=dry_run,
            timeout=timeout,
            retry_for=retry_for,
        )

    def drop_query(
        self, query: str, params: Sequence[object] | None = None, param_names: Sequence[str] = ()
    ) -> bool:
        """Delete the one entry of this call; the only way for entries without named params.

        Returns:
            whether it was cached.

        Raises:
            CacheUnavailable: Redis did not answer; the entry may still be there.
        """
        self.core.check_open()
        key = self.core.reads.key(query, params, param_names)
        return self.core.cache is not None and self.core.cache.drop_key(key)

    # Life

    def stats(self) -> dict[str, int]:
        """Return this client's counters by name: hits, misses, fills, refused_fills, and so on."""
        return self.core.stats.snapshot()

    def close_redis_connection(self) -> None:
        """Close the connections to Redis; a later call opens new ones."""
        self.core.drain_redis()

    def close(self) -> None:
        """Close everything; final, and safe to repeat."""
        self.core.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an MRCClient cannot be pickled; make one in each process")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Any:
        self._entered = type(self).facade(self, owned=True)
        return await self._entered.__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        await self._entered.__aexit__(*exc_info)

    # Driving the steps

    def _run(self, steps: Steps, read: Read) -> Any:
        """Drive *steps* to their end with blocking calls."""
        try:
            step = steps.send(None)
            while True:
                try:
                    outcome = self._performers[type(step)](read, step)
                except BaseException as error:  # noqa: BLE001 - the steps decide what follows, and raise it again
                    step = steps.throw(passable(error))
                else:
                    step = steps.send(outcome)
        except StopIteration as done:
            return done.value
        except Stopped as stopped:
            failure = stopped.error
        finally:
            if read.token or read.flight is not None:
                self.core.end(read)
        raise failure

    def _run_many(self, jobs: Sequence[Job]) -> None:
        """Drive the steps of several reads together."""
        tasks = read_many(jobs)
        try:
            task = tasks.send(None)
            while True:
                try:
                    outcome = self._do(task)
                except BaseException as error:  # noqa: BLE001 - as above
                    task = tasks.throw(error)
                else:
                    task = tasks.send(outcome)
        except StopIteration:
            pass
        finally:
            for job in jobs:
                self.core.end(job.read)

    def _do(self, task: Task) -> Any:
        match task:
            case GetMany(reads):
                return self._cache.get_many(reads)
            case JoinNow(read):
                return self.core.join(read) is None
            case AcquireMany(reads, steps):
                return self._cache.acquire_many(reads, steps)
            case Perform(read, step):
                return self._performers[type(step)](read, step)

    def _join(self, read: Read, step: Join) -> Shared | Seat:
        flight = self.core.join(read)
        if flight is None:
            return Seat.LEADER
        flight.wait(step.until - time.monotonic())
        return self.core.landed(flight)

    def _wait(self, read: Read, step: Wait) -> None:  # noqa: ARG002 - a step's performer
        time.sleep(step.seconds)

    def refresh_behind(self, read: Read, step: Refresh) -> None:
        """Have a thread refresh the entry of *read*; for the facade."""
        core = self.core
        behind = read.again()
        job = partial(self._run, readthrough.refresh_behind(step.left), behind)
        core.background.submit(read.key, job)


def _call_plain(fn: Callable[[], Any], key: str) -> Any:
    """Call *fn*, marked as the load of *key*, so that it may read that key itself."""
    mark = loading.set(loading.get() | {key})
    try:
        value = fn()
    finally:
        loading.reset(mark)
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise TypeError(NEEDS_FACADE)
    return value
