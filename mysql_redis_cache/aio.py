"""AsyncMRCClient and AsyncMRCServer: the same reads and drops from an event loop, asyncio's or trio's.

The facade drives the steps of a read like the blocking client, with other means: what talks to Redis or MySQL
is done in a thread, one hop a step; whatever waits (for a lease, for somebody else's load, for the user's
coroutine) waits in the event loop and holds no thread.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import threading
import time
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack
from weakref import WeakKeyDictionary

import anyio
import anyio.lowlevel
import anyio.to_thread

from . import readthrough
from .client import MRCClient, positional_arguments
from .core import Core, Read, loading
from .drops import DROP_TIMEOUT
from .policy import DEFAULT_TTL
from .readthrough import (
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
from .server import MRCServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta

    from .client import Windows
    from .database import Pool, Row, WriteResult
    from .readthrough import Loaded, Shared, Step, Steps

__all__ = ["AsyncMRCClient", "AsyncMRCServer"]

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("mysql_redis_cache")

# Threads for Redis alone. They are apart from the loads', so that slow queries never keep hits waiting.
REDIS_THREADS = 4
MAX_BATCH = 200


class _Batch:
    """Reads that go to Redis together."""

    __slots__ = ("_unclaimed", "changed", "failure", "is_done", "is_led", "outcomes", "reads")

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.outcomes: Sequence[Any] = ()
        self.failure: Exception | None = None
        self.is_done = False
        self.is_led = True
        self.changed = anyio.Event()
        self._unclaimed = [True]

    def claim(self) -> bool:
        """Return ``True`` to one caller only: to the thread that is to run the batch, or who stops it."""
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False

    def run(self, perform: Callable[[list[Read]], Sequence[Any]], publish: Callable[[], None]) -> None:
        """Run in a worker thread, and have the loop *publish* the outcome."""
        if not self.claim():
            return
        try:
            self.outcomes = perform(self.reads)
        except Exception as error:  # noqa: BLE001 - everybody in the batch raises it
            self.failure = error
        publish()

    def publish(self) -> None:
        """Wake everybody; called in the loop."""
        self.is_done = True
        self.changed.set()

    def take_lead(self) -> bool:
        """Return ``True`` to the first caller after the leader has gone."""
        if self.is_done or self.is_led:
            return False
        self.is_led = True
        return True

    def orphan(self) -> None:
        """Leave the lead to whoever wakes first; called in the loop."""
        self._unclaimed = [True]
        self.is_led = False
        changed, self.changed = self.changed, anyio.Event()
        changed.set()


class _Gather:
    """Gathers concurrent reads of one event loop into batches.

    The first caller opens a batch and leads it: it yields once, so that others may join, and takes the batch
    to a thread. The thread publishes what it found, so a leader cancelled on the way harms nobody; one
    cancelled before the thread has begun leaves the lead to another. While a batch is out the next one
    forms. No task or timer outlives the callers.
    """

    def __init__(
        self, perform: Callable[[list[Read]], Sequence[Any]], limiter: anyio.CapacityLimiter
    ) -> None:
        self._perform = perform
        self._limiter = limiter
        self._unlimited = anyio.CapacityLimiter(math.inf)  # for a thread whose place is taken already
        self._forming: _Batch | None = None

    async def get(self, read: Read) -> Any:
        """Return what *perform* finds for *read*."""
        batch = self._forming
        leads = batch is None or len(batch.reads) >= MAX_BATCH
        if batch is None or leads:
            batch = self._forming = _Batch()
        place = len(batch.reads)
        batch.reads.append(read)
        while not batch.is_done:
            if leads:
                await self._lead(batch)
                leads = False
            else:
                await batch.changed.wait()
                leads = batch.take_lead()
        if batch.failure is not None:
            raise batch.failure
        return batch.outcomes[place]

    async def _lead(self, batch: _Batch) -> None:
        try:
            await anyio.lowlevel.checkpoint()
            async with self._limiter:  # while all threads are busy, the batch goes on growing
                self._close(batch)
                publish = partial(_soon(), batch.publish)
                await anyio.to_thread.run_sync(batch.run, self._perform, publish, limiter=self._unlimited)
        except BaseException:
            self._close(batch)
            if batch.claim():
                batch.orphan()
            raise

    def _close(self, batch: _Batch) -> None:
        if self._forming is batch:
            self._forming = None


class _Here:
    """What a facade keeps for one event loop; nothing in it refers to the loop."""

    def __init__(self, core: Core, limiter: anyio.CapacityLimiter | None) -> None:
        self.limiter = limiter or anyio.CapacityLimiter(core.database.pool.size)
        self.redis_limiter = anyio.CapacityLimiter(REDIS_THREADS)
        self.gather = _Gather(core.get_many, self.redis_limiter)


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
        self._loops: WeakKeyDictionary[Any, _Here] = WeakKeyDictionary()
        self._lock = threading.Lock()
        core = self._core = self._client.core
        self._performers: dict[type[Step], Callable[[Read, Any], Any]] = {
            Get: self._get,
            Join: self._join,
            Acquire: partial(self._in_redis_thread, core.acquire),
            Fill: partial(self._in_redis_thread, core.fill),
            Release: partial(self._in_redis_thread, core.release),
            Load: self._load,
            Wait: self._wait,
            Refresh: self._refresh_behind,
            Seal: self._seal,
            Settle: self._settle,
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
        read = core.query_read(query, params, param_names, ttl, **windows)
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
        read = core.function_read(_Awaited(fn), query, params, param_names, ttl, **windows)
        return await self._run(core.steps(read, refresh=refresh, cache=cache), read)

    def cached(
        self, query: str, param_names: Sequence[str] = (), ttl: float | timedelta = DEFAULT_TTL
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
        """Decorate a coroutine function: its calls go through ``with_cache``; as ``MRCClient.cached``."""

        def decorate(fn: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
            positional = positional_arguments(fn)

            @wraps(fn)
            async def call(*args: P.args, **kwargs: P.kwargs) -> T:
                params = positional(*args, **kwargs)

                async def load() -> T:
                    return await fn(*args, **kwargs)

                return await self.with_cache(load, query, params, param_names, ttl)  # type: ignore[no-any-return]

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
        if core.entries is None:
            return default
        read = core.function_read(None, query, params, param_names, DEFAULT_TTL)
        entry = await self._here().gather.get(read)
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
        write = partial(self._client.write_to_cache, query, value, params, param_names, ttl)
        await self._hop(write, self._here().redis_limiter)

    def get_key_from_query(
        self, query: str, params: Sequence[object] | None = None, param_names: Sequence[str] = ()
    ) -> str:
        """Return the key under which a call is cached; no I/O, so nothing to await."""
        return self._client.get_key_from_query(query, params, param_names)

    # Straight to MySQL

    async def query(self, query: str, params: Sequence[object] | None = None) -> list[Row]:
        """Run a statement that reads; as ``MRCClient.query``."""
        return await self._hop(partial(self._client.query, query, params), self._here().limiter)

    async def execute(self, query: str, params: Sequence[object] | None = None) -> WriteResult:
        """Run a statement that writes; as ``MRCClient.execute``."""
        return await self._hop(partial(self._client.execute, query, params), self._here().limiter)

    async def query_to_promise(
        self, query: str, params: Sequence[object] | None = None
    ) -> list[Row] | WriteResult:
        """Run any statement; as ``MRCClient.query_to_promise``."""
        return await self._hop(partial(self._client.query_to_promise, query, params), self._here().limiter)

    def get_mysql_pool(self) -> Pool:
        """Return the blocking connection pool, for use in threads; no I/O, so nothing to await."""
        return self._client.get_mysql_pool()

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
        return await self._hop(drop, self._here().limiter)

    async def drop_query(
        self, query: str, params: Sequence[object] | None = None, param_names: Sequence[str] = ()
    ) -> bool:
        """Delete the one entry of this call; as ``MRCClient.drop_query``."""
        drop = partial(self._client.drop_query, query, params, param_names)
        return await self._hop(drop, self._here().redis_limiter)

    # Life

    def stats(self) -> dict[str, int]:
        """Return the counters; no I/O, so nothing to await."""
        return self._client.stats()

    async def close_redis_connection(self) -> None:
        """Close the connections to Redis; a later call opens new ones."""
        await _shielded(self._client.close_redis_connection)

    async def aclose(self) -> None:
        """Close the client, unless it was handed in ready; safe to repeat."""
        if self._owned:
            await _shielded(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    # Driving the steps

    async def _run(self, steps: Steps, read: Read) -> Any:
        """Drive *steps* to their end."""
        get = self._here().gather.get
        try:
            step = steps.send(None)
            while True:
                try:
                    outcome = await (get(read) if step is GET else self._performers[type(step)](read, step))
                except Exception as error:  # noqa: BLE001 - the steps decide what follows, and raise it again
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as done:
            return done.value
        finally:
            # Cancellation gets here past the steps: what they hold is let go without another await.
            self._core.end(read)

    async def _get(self, read: Read, step: Get) -> Entry | Claim | None:  # noqa: ARG002 - a step's performer
        return await self._here().gather.get(read)  # type: ignore[no-any-return]

    async def _in_redis_thread(self, perform: Callable[[Read, Any], T], read: Read, step: Step) -> T:
        return await self._hop(partial(perform, read, step), self._here().redis_limiter)

    async def _join(self, read: Read, step: Join) -> Shared | Seat:
        flight = self._core.join(read)
        if flight is None:
            return Seat.LEADER
        landed = anyio.Event()
        if flight.wake(partial(_soon(), landed.set)):
            with anyio.move_on_after(step.until - time.monotonic()):
                await landed.wait()
        return self._core.landed(flight)

    async def _load(self, read: Read, step: Load) -> Loaded:  # noqa: ARG002 - a step's performer
        load = read.load
        if not isinstance(load, _Awaited):
            return await self._hop(partial(self._core.timed, read, load), self._here().limiter)
        began = time.monotonic()
        value = await self._await_function(read.key, load)
        self._core.note_load_time(read, time.monotonic() - began)
        return await self._hop(partial(self._core.loaded, value), self._here().limiter)

    async def _await_function(self, key: str, load: _Awaited) -> Any:
        """Call the user's function, marked as the load of the key, so that it may read that key itself."""
        mark = loading.set(loading.get() | {key})
        try:
            value = load.fn() if load.is_async else await self._call_in_thread(load.fn)
            return await value if inspect.isawaitable(value) else value
        finally:
            loading.reset(mark)

    async def _call_in_thread(self, fn: Callable[[], Any]) -> Any:
        # In a tuple, since trio refuses to bring an awaitable back from a thread.
        (value,) = await self._hop(lambda: (fn(),), self._here().limiter)
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
            await self._run(readthrough.refresh_behind(step.left), self._core.again(read))
        except Exception:  # the reader has its answer already; the next one tries again
            logger.debug("a refresh behind a reader's back failed", exc_info=True)

    async def _hop(self, call: Callable[[], T], limiter: anyio.CapacityLimiter) -> T:
        return await anyio.to_thread.run_sync(call, limiter=limiter)

    def _here(self) -> _Here:
        """Return what this facade keeps for the running event loop."""
        loop = _native_loop()
        here = self._loops.get(loop)
        if here is None:
            with self._lock:
                here = self._loops.setdefault(loop, _Here(self._core, self._limiter))
        return here


class AsyncMRCServer:
    """Drops outdated entries, from coroutines.

    Args:
        redis_config: as for ``MRCServer``; or a ready ``MRCServer``, which stays its maker's to close.
        owned: close a ready server when this facade is closed.
        **options: as for ``MRCServer``.
    """

    def __init__(self, redis_config: MRCServer | object, *, owned: bool = False, **options: Any) -> None:
        ready = isinstance(redis_config, MRCServer)
        if ready and options:
            raise TypeError("a ready MRCServer brings its own options")
        self._server = (
            redis_config if isinstance(redis_config, MRCServer) else MRCServer(redis_config, **options)
        )
        self._owned = owned or not ready

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
        """Delete the entries that carry the pairs; as ``MRCServer.drop_outdated_cache``."""
        drop = partial(
            self._server.drop_outdated_cache,
            key_names,
            key_values,
            require_all_match,
            dry_run=dry_run,
            timeout=timeout,
            retry_for=retry_for,
        )
        return await anyio.to_thread.run_sync(drop)

    async def close_redis_connection(self) -> None:
        """Close the connections to Redis; a later call opens new ones."""
        await _shielded(self._server.close_redis_connection)

    async def aclose(self) -> None:
        """Close the server, unless it was handed in ready; safe to repeat."""
        if self._owned:
            await _shielded(self._server.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


class _Awaited:
    """A user's function as the load of a read, to be called where it can be awaited."""

    def __init__(self, fn: Callable[[], Any]) -> None:
        self.fn = fn
        self.is_async = inspect.iscoroutinefunction(fn)


async def _shielded(close: Callable[[], None]) -> None:
    """Run a bounded *close* in a thread to its end, even if the caller is being cancelled."""
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(close, limiter=anyio.CapacityLimiter(1))


def _native_loop() -> Any:
    """Return the running event loop of asyncio, or trio's token."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return anyio.lowlevel.current_token().native_token


def _soon() -> Callable[..., Any]:
    """Return what has the running event loop call a function soon, from any thread."""
    loop = _native_loop()
    soon: Callable[..., Any] = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    return soon


MRCClient.facade = AsyncMRCClient
MRCServer.facade = AsyncMRCServer
