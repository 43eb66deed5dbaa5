"""The blocking client and the facade behind one awaitable face, so that one suite runs over both."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from mysql_redis_cache import AsyncMRCClient, MRCClient

__all__ = ["AT_ONCE", "BlockingDriver", "FacadeDriver", "at_once", "until"]

# What needs no await in the facade either.
AT_ONCE = frozenset(
    {
        *("cached", "configure", "deferred", "disabled"),
        *("get_key_from_query", "get_mysql_pool", "stats", "trace"),
    }
)
DEADLINE = 15.0


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never has to wait, as those of the blocking driver."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a coroutine of the blocking driver wanted to wait")


async def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Look again and again until *condition* holds; fail after a deadline no healthy run comes near."""
    with anyio.move_on_after(DEADLINE):
        while not condition():
            await anyio.sleep(0.005)
        return
    raise AssertionError(f"{what} did not come about within {DEADLINE:g} s")


class _Awaitable:
    """An object whose blocking methods look like coroutine functions."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name in AT_ONCE:
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return call


class _BlockingTransaction(_Awaitable):
    def drop_outdated_cache(self, *args: Any, **kwargs: Any) -> None:
        self.inner.drop_outdated_cache(*args, **kwargs)


class BlockingDriver(_Awaitable):
    """A ``MRCClient``; its concurrent calls are threads."""

    is_blocking = True

    def __init__(self, client: MRCClient) -> None:
        super().__init__(client)
        self._core = client._core

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_BlockingTransaction]:
        with self.inner.transaction() as tx:
            yield _BlockingTransaction(tx)

    async def aclose(self) -> None:
        self.inner.close()

    async def together(self, calls: Sequence[Callable[[], Coroutine[Any, Any, Any]]]) -> list[Any]:
        """Run *calls* at once; return what each returned or raised."""
        outcomes: list[Any] = [None] * len(calls)

        def run(place: int) -> None:
            try:
                outcomes[place] = at_once(calls[place]())
            except Exception as error:
                outcomes[place] = error

        threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            await anyio.to_thread.run_sync(thread.join)
        return outcomes

    async def happens(self, event: threading.Event) -> None:
        """Wait for *event*, in one of the calls that run together."""
        assert event.wait(DEADLINE)


class FacadeDriver:
    """An ``AsyncMRCClient``; its concurrent calls are tasks."""

    is_blocking = False

    def __init__(self, client: AsyncMRCClient) -> None:
        self.inner = client
        self._core = client._core

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def together(self, calls: Sequence[Callable[[], Coroutine[Any, Any, Any]]]) -> list[Any]:
        """Run *calls* at once; return what each returned or raised."""
        outcomes: list[Any] = [None] * len(calls)

        async def run(place: int) -> None:
            try:
                outcomes[place] = await calls[place]()
            except Exception as error:
                outcomes[place] = error

        async with anyio.create_task_group() as tasks:
            for place in range(len(calls)):
                tasks.start_soon(run, place)
        return outcomes

    async def happens(self, event: threading.Event) -> None:
        """Wait for *event*, in one of the calls that run together."""
        await until(event.is_set)
