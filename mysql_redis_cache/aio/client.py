"""AsyncMRCClient: cached reads of MySQL from coroutines.

The facade drives the steps of a read like the blocking client, with other means: what talks to Redis or MySQL
is done in a thread, one hop a step; whatever waits (for a lease, for somebody else's load, for the user's
coroutine) waits in the event loop and holds no thread.
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from contextlib import asynccontextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack
from weakref import WeakKeyDictionary, ref

import anyio

from mysql_redis_cache.client import MRCClient
from mysql_redis_cache.drops import DROP_TIMEOUT
from mysql_redis_cache.policy import DEFAULT_TTL
from mysql_redis_cache.readthrough import steps as readthrough
from mysql_redis_cache.readthrough.core import Core, loading
from mysql_redis_cache.readthrough.functions import check_function, positional_arguments
from mysql_redis_cache.readthrough.many import AcquireMany, GetMany, JoinNow, Perform, read_many
from mysql_redis_cache.readthrough.reads import Write
from mysql_redis_cache.readthrough.steps import (
    GET,
    Acquire,
    Claim,
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

from .gather import Gather
from .threads import breathe, hop, native_loop, shielded, soon
from .transaction import AsyncTransaction, Opening
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta

    from mysql_redis_cache.client import Windows
    from mysql_redis_cache.database import Pool, WriteResult
    from mysql_redis_cache.readthrough.many import Job, Task
    from mysql_redis_cache.readthrough.reads import Read
    from mysql_redis_cache.readthrough.steps import Loaded, Shared, Step, Steps
    from mysql_redis_cache.values import Row

__all__ = ["AsyncMRCClient"]

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("mysql_redis_cache")

# Threads for Redis alone. They are apart from the loads', so that slow queries never keep hits waiting.
REDIS_THREADS = 4
# Bytes of JSON that are decoded in the event loop: half a millisecond's worth.
DECODED_IN_LOOP = 64 * 1024


class _Here:
    """What a facade keeps for one event loop; nothing in it refers to the loop."""

    def __init__(self, core: Core, limiter: anyio.CapacityLimiter | None, workers: Workers) -> None:
        self.limiter = limiter or anyio.CapacityLimiter(core.database.pool.size)
        self.redis_limiter = anyio.CapacityLimiter(REDIS_THREADS)
        if core.cache is not None:  # without Redis nobody asks for these
            cache = core.cache
            self.reads = Gather(cache.fetch_many, workers, partial(cache.decode_many, between=breathe))
            self.writes = Gather(cache.write_many, workers)


class AsyncMRCClient:
    """Reads MySQL through a Redis cache, from coroutines; asyncio and trio alike.

    Each method does what the method of the same name of ``MRCClient`` does. One facade may be used from
    several event loops, one after another and at once.

    Args:
        mysql_config: as for ``MRCClient``; or a ready ``MRCClient``, which stays its maker's to close.
        redis_config: as for ``MRCClient``.
        limiter: bounds the threads for MySQL and for plain functions, in each event loop; by default as many
            as the MySQL pool has connections.
        owned: close a ready client when this facade is closed.
        **options: as for ``MRCClient``.
    """

    def __init__(
        self,
        mysql_config: MRCClient | Mapping[str, Any] | str,
        redis_config: object = None,
        *,
        limiter: anyio.CapacityLimiter | None = None,
        owned: bool = False,
        **options: Any,
    ) -> None:
        ready = isinstance(mysql_config, MRCClient)
        if ready and (redis_config is not None or options):
            raise TypeError("a ready MRCClient brings its own redis_config and options")
        self._client = (
            mysql_config
            if isinstance(mysql_config, MRCClient)
            else MRCClient(mysql_config, redis_config, **options)
        )
        self._owned = owned or not ready
        self._limiter = limiter
        self._workers = Workers()
        self._loops: WeakKeyDictionary[Any, _Here] = WeakKeyDictionary()
        self._last_loop: tuple[Callable[[], Any], _Here] | None = None
        self._lock = threading.Lock()
        core = self._core = self._client.core
        self._performers: dict[type[Step], Callable[[Read, Any], Any]] = {
            Get: self._get,
            Join: self._join,
            Load: self._load,
            Wait: self._wait,
            Refresh: self._refresh_behind,
            Seal: self._seal,
            Settle: self._settle,
        }
        self._cache: Any = core.cache  # None without Redis, and then no step asks for it
        if core.cache is not None:
            cache = core.cache
            self._performers |= {
                Acquire: partial(self._in_redis_thread, cache.acquire),
                Fill: partial(self._in_redis_thread, cache.fill),
                Release: partial(self._in_redis_thread, cache.release),
            }

    # Cached reads

    async def query_with_cache(
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
        """Answer a query from Redis, or else from MySQL; as ``MRCClient.query_with_cache``."""
        core = self._core
        core.check_open()
        read = core.reads.of_query(query, params, param_names, ttl, windows)
        return await self._run(core.steps(read, refresh=refresh, cache=cache), read)

    async def with_cache(
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
        """Answer a call of *fn* from Redis, or else call it; as ``MRCClient.with_cache``.

        Args:
            fn: a coroutine function, awaited in the caller's task; or a plain function, called in a thread,
                whose result is awaited in the caller's task if it can be.
            query: the signature under which to cache.
            params: as for ``query_with_cache``.
            param_names: as for ``query_with_cache``.
            ttl: as for ``query_with_cache``.
            refresh: as for ``query_with_cache``.
            cache: as for ``query_with_cache``.
            **windows: as for ``query_with_cache``.
        """
        core = self._core
        core.check_open()
        check_function(fn)
        read = core.reads.of_function(query, params, param_names, ttl, windows, load=_Awaited(fn))
        return await self._run(core.steps(read, refresh=refresh, cache=cache), read)

    async def query_many_with_cache(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> list[Any]:
        """Answer several queries, all hits in one round trip; as ``MRCClient.query_many_with_cache``."""
        self._core.check_open()
        batch = self._core.batch(queries, ttl, windows, refresh=refresh, cache=cache)
        await self._run_many(list(batch.jobs.values()))
        return batch.values()

    def cached(
        self, query: str, param_names: Sequence[str] = (), ttl: float | timedelta = DEFAULT_TTL
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
        """Decorate a coroutine function: its calls go through ``with_cache``; as ``MRCClient.cached``."""
        self._core.reads.check_signature(query, param_names, ttl)

        def decorate(fn: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
            positional = positional_arguments(fn, param_names)

            @wraps(fn)
            async def call(*args: P.args, **kwargs: P.kwargs) -> T:
                params = positional(*args, **kwargs)
                return await self.with_cache(partial(fn, *args, **kwargs), query, params, param_names, ttl)  # type: ignore[no-any-return]

            return call

        return decorate

    async def read_from_cache(
        self,
        query: str,
        params: Sequence[object] | None = None,
        param_names: Sequence[str] = (),
        default: Any = None,
    ) -> Any:
        """Return what is cached, or *default*; as ``MRCClient.read_from_cache``."""
        core = self._core
        core.check_open()
        if core.cache is None:
            return default
        read = core.reads.of_function(query, params, param_names, DEFAULT_TTL)
        entry = await self._get(read)
        return entry.value if isinstance(entry, Entry) else default

    async def write_to_cache(
        self,
        query: str,
        value: Any,
        params: Sequence[object] | None = None,
        param_names: Sequence[str] = (),
        ttl: float | timedelta = DEFAULT_TTL,
    ) -> None:
        """Cache *value*; as ``MRCClient.write_to_cache``."""
        core = self._core
        core.check_open()
        read = core.reads.of_function(query, params, param_names, ttl)
        if core.cache is None:
            await hop(partial(core.check_value, value), self._here().limiter)
            return
        await self._here().writes.get(Write(read, value))

    def get_key_from_query(
        self, query: str, params: Sequence[object] | None = None, param_names: Sequence[str] = ()
    ) -> str:
        """Return the key under which a call is cached; no I/O, so nothing to await."""
        return self._client.get_key_from_query(query, params, param_names)

    # Straight to MySQL

    async def query(self, query: str, params: Sequence[object] | None = None) -> list[Row]:
        """Run a statement that reads; as ``MRCClient.query``."""
        return await hop(partial(self._client.query, query, params), self._here().limiter)

    async def execute(self, query: str, params: Sequence[object] | None = None) -> WriteResult:
        """Run a statement that writes; as ``MRCClient.execute``."""
        return await hop(partial(self._client.execute, query, params), self._here().limiter)

    async def query_to_promise(
        self, query: str, params: Sequence[object] | None = None
    ) -> list[Row] | WriteResult:
        """Run any statement; as ``MRCClient.query_to_promise``."""
        return await hop(partial(self._client.query_to_promise, query, params), self._here().limiter)

    def get_mysql_pool(self) -> Pool:
        """Return the blocking connection pool, for use in threads; no I/O, so nothing to await."""
        return self._client.get_mysql_pool()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:
        """Open a transaction: ``async with client.transaction() as tx: …``; as ``MRCClient.transaction``."""
        core = self._core
        core.check_open()
        opening = Opening(transaction(core.database, core.drops, core.options.prefix))
        try:
            tx = await hop(opening.enter, self._here().limiter)
        except BaseException:
            if opening.abandon():
                core.background.submit(opening, opening.leave)
            raise
        try:
            with inside(tx):
                yield AsyncTransaction(tx)
        except BaseException as error:
            await shielded(partial(opening.leave, error))
            raise
        await shielded(opening.leave)

    # Drops

    async def drop_outdated_cache(
        self,
        key_names: Sequence[str],
        key_values: Sequence[object],
        require_all_match: bool = True,
        *,
        dry_run: bool = False,
        timeout: float = DROP_TIMEOUT,
        retry_for: float = 0.0,
    ) -> int:
        """Delete the entries that carry the pairs; as ``MRCClient.drop_outdated_cache``."""
        drop = partial(
            self._client.drop_outdated_cache,
            key_names,
            key_values,
            require_all_match,
            dry_run=dry_run,
            timeout=timeout,
            retry_for=retry_for,
        )
        return await hop(drop, self._here().limiter)

    async def drop_query(
        self, query: str, params: Sequence[object] | None = None, param_names: Sequence[str] = ()
    ) -> bool:
        """Delete the one entry of this call; as ``MRCClient.drop_query``."""
        drop = partial(self._client.drop_query, query, params, param_names)
        return await hop(drop, self._here().redis_limiter)

    # Life

    def stats(self) -> dict[str, int]:
        """Return the counters; no I/O, so nothing to await."""
        return self._client.stats()

    async def close_redis_connection(self) -> None:
        """Close the connections to Redis; a later call opens new ones."""
        await shielded(self._client.close_redis_connection)

    async def aclose(self) -> None:
        """Close the client, unless it was handed in ready; safe to repeat."""
        if self._owned:
            await shielded(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    # Driving the steps

    async def _run(self, steps: Steps, read: Read) -> Any:
        """Drive *steps* to their end."""
        try:
            step = steps.send(None)
            while True:
                try:
                    outcome = await self._performers[type(step)](read, step)
                except Exception as error:  # noqa: BLE001 - the steps decide what follows, and raise it again
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as done:
            return done.value
        except BaseException:
            # Cancellation gets here past the steps: what they hold is let go without another await.
            self._core.end(read)
            raise

    async def _run_many(self, jobs: Sequence[Job]) -> None:
        """Drive the steps of several reads together."""
        tasks = read_many(jobs)
        try:
            task = tasks.send(None)
            while True:
                try:
                    outcome = await self._do(task)
                except Exception as error:  # noqa: BLE001 - as above
                    task = tasks.throw(error)
                else:
                    task = tasks.send(outcome)
        except StopIteration:
            pass
        finally:
            for job in jobs:
                self._core.end(job.read)

    async def _do(self, task: Task) -> Any:
        limiter = self._here().redis_limiter
        match task:
            case GetMany(reads):
                return await hop(partial(self._cache.get_many, reads), limiter)
            case JoinNow(read):
                return self._core.join(read) is None
            case AcquireMany(reads, steps):
                return await hop(partial(self._cache.acquire_many, reads, steps), limiter)
            case Perform(read, step):
                return await self._performers[type(step)](read, step)

    def _get(self, read: Read, step: Get = GET) -> Awaitable[Entry | Claim | None]:  # noqa: ARG002 - a step's performer
        # No thread is needed to learn that Redis is away.
        return _unavailable() if self._cache.is_away else self._here().reads.get(read)

    async def _in_redis_thread(self, perform: Callable[[Read, Any], T], read: Read, step: Step) -> T:
        return await hop(partial(perform, read, step), self._here().redis_limiter)

    async def _join(self, read: Read, step: Join) -> Shared | Seat:
        flight = self._core.join(read)
        if flight is None:
            return Seat.LEADER
        landed = anyio.Event()
        if flight.wake(partial(soon(), landed.set)):
            with anyio.move_on_after(step.until - time.monotonic()):
                await landed.wait()
        payload = flight.landing.payload if flight.landing is not None else None
        if payload is None or len(payload) <= DECODED_IN_LOOP:
            return self._core.landed(flight)
        return await hop(partial(self._core.landed, flight, breathe), self._here().redis_limiter)

    async def _load(self, read: Read, step: Load) -> Loaded:  # noqa: ARG002 - a step's performer
        load = read.load
        if not isinstance(load, _Awaited):
            # A transaction has its connection, so it must not queue with those who wait for one.
            limiter = anyio.CapacityLimiter(1) if self._core.in_transaction else self._here().limiter
            return await hop(partial(self._core.load, read), limiter)
        began = time.monotonic()
        value = await self._await_function(read.key, load)
        self._core.note_load_time(read, time.monotonic() - began)
        return await hop(partial(self._core.loaded, value, breathe), self._here().limiter)

    async def _await_function(self, key: str, load: _Awaited) -> Any:
        """Call the user's function, marked as the load of the key, so that it may read that key itself."""
        mark = loading.set(loading.get() | {key})
        try:
            value = load.fn() if load.is_async else await self._call_in_thread(load.fn)
            return await value if inspect.isawaitable(value) else value
        finally:
            loading.reset(mark)

    async def _call_in_thread(self, fn: Callable[[], Any]) -> Any:
        # In a tuple: trio brings no awaitable back from a thread, asyncio not every error unharmed.
        value, error = await hop(partial(_outcome, fn), self._here().limiter)
        if error is not None:
            raise error
        return value

    async def _wait(self, read: Read, step: Wait) -> None:  # noqa: ARG002 - a step's performer
        await anyio.sleep(step.seconds)

    async def _seal(self, read: Read, step: Seal) -> None:
        self._core.seal(read, step)

    async def _settle(self, read: Read, step: Settle) -> None:
        self._core.settle(read, step)

    async def _refresh_behind(self, read: Read, step: Refresh) -> None:
        if not isinstance(read.load, _Awaited):
            self._client.refresh_behind(read, step)
            return
        # A coroutine needs a task, and nobody's but the caller's is at hand: who wins the lease pays.
        try:
            await self._run(readthrough.refresh_behind(step.left), read.again())
        except Exception:  # the reader has its answer already; the next one tries again
            logger.debug("a refresh behind a reader's back failed", exc_info=True)

    def _here(self) -> _Here:
        """Return what this facade keeps for the running event loop."""
        loop, last = native_loop(), self._last_loop
        if last is not None and last[0]() is loop:
            return last[1]
        with self._lock:
            here = self._loops.get(loop)
            if here is None:
                here = self._loops[loop] = _Here(self._core, self._limiter, self._workers)
        self._last_loop = (ref(loop), here)
        return here


class _Awaited:
    """A user's function as the load of a read, to be called where it can be awaited."""

    def __init__(self, fn: Callable[[], Any]) -> None:
        self.fn = fn
        self.is_async = inspect.iscoroutinefunction(fn)


def _outcome(fn: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Return what *fn* gives, and what it raises."""
    try:
        return fn(), None
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        return None, error


async def _unavailable() -> Claim:
    return Claim.UNAVAILABLE
