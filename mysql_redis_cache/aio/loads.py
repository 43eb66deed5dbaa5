"""What asks MySQL or a user's function for a value, from an event loop."""

from __future__ import annotations

import inspect
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from mysql_redis_cache.errors import ClosedError, PoolTimeout
from mysql_redis_cache.readthrough import uncommitted
from mysql_redis_cache.runtime import SlotsClosed

from .lanes import FUNCTIONS, Crowded, run_placed, run_short
from .threads import breathe, hop

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.policy import Policy
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.readthrough.reads import Read
    from mysql_redis_cache.readthrough.steps import Loaded

    from .loops import Loops

__all__ = ["Awaited", "Loads"]

T = TypeVar("T")


class Awaited:
    """A user's function as the load of a read, to be called where it can be awaited.

    Args:
        fn: the function.
        blocking: the same for who is in a thread; a coroutine function is refused there.
    """

    def __init__(self, fn: Callable[[], Any], blocking: Callable[[Read], Loaded]) -> None:
        self.fn = fn
        self.is_async = inspect.iscoroutinefunction(fn)
        self._blocking = blocking

    def __call__(self, read: Read) -> Loaded:
        """Call it in this thread."""
        return self._blocking(read)


class Loads:
    """Loads the values of one client's reads.

    Args:
        core: the parts of the client.
        loops: have the tokens of the user's limiter.
    """

    def __init__(self, core: Core, loops: Loops) -> None:
        self._core = core
        self._loops = loops
        self._external = None if core.external is None else core.external.connection

    async def in_mysql_thread(self, call: Callable[[], T]) -> T:
        """Run *call* in a thread, with a place in the MySQL pool.

        Raises:
            PoolTimeout: there was none, or no token of the limiter, within ``pool_timeout``.
            ClosedError: the pool is closed.
        """
        self._core.check_open()
        if self._external is not None:
            return await self._external.in_thread(call)
        if self._core.in_transaction:  # it has its connection, and must not queue with those who wait for one
            return await hop(call)
        pool = self._core.database.pool
        until = time.monotonic() + pool.timeout
        try:
            async with self._loops.here().token(until):
                waited = self._core.watch.pool_waited
                return await run_placed(call, pool.slots, until - time.monotonic(), waited)
        except Crowded:
            raise PoolTimeout(pool.timeout, pool.size) from None
        except SlotsClosed:
            raise ClosedError("the MySQL pool is closed") from None

    async def load(self, read: Read) -> Loaded:
        """Load the value of one read, or raise what loading it raises."""
        load = read.load
        if not isinstance(load, Awaited):
            return await self.in_mysql_thread(partial(self._core.load, read))
        began = self._core.begin_load(read)
        try:
            value = await self._await_function(read, load)
            encode = partial(self._core.loaded, read, value)
            loaded = await run_short(partial(encode, breathe), encode)
            loaded = uncommitted(loaded) if await self._is_inside() else loaded
        except BaseException as error:
            self._core.note_load(read, began, error)
            raise
        self._core.note_load(read, began, loaded)
        return loaded

    async def _is_inside(self) -> bool:
        """Whether a framework's transaction is open where it runs what the user's function asked of it."""
        connection = self._external
        return connection is not None and await connection.in_thread(lambda: connection.in_transaction)

    async def _await_function(self, read: Read, load: Awaited) -> Any:
        """Call the user's function, marked as the load of the key, so that it may read that key itself."""
        with self._core.loading.mark(read.key):
            value = load.fn() if load.is_async else await self._call_in_thread(load.fn, read.policy)
            return await value if inspect.isawaitable(value) else value

    async def _call_in_thread(self, fn: Callable[[], Any], policy: Policy) -> Any:
        if self._external is not None:
            return await self._external.in_thread(fn)
        seconds = policy.wait_timeout
        until = time.monotonic() + seconds
        try:
            async with self._loops.here().token(until):
                # In a tuple: trio brings no awaitable back from a thread, asyncio not every error unharmed.
                value, error = await FUNCTIONS.run(partial(_outcome, fn), until - time.monotonic())
        except Crowded:
            raise PoolTimeout(seconds, FUNCTIONS.size, "thread") from None
        if error is not None:
            raise error
        return value


def _outcome(fn: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Return what *fn* gives, and what it raises."""
    try:
        return fn(), None
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        return None, error
