"""Between an event loop and threads: hops, and calls back into the loop. asyncio and trio alike."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, ref

import anyio
import anyio.lowlevel
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["at_home", "breathe", "given", "hop", "native_loop", "prepare", "promise", "shielded", "soon"]

T = TypeVar("T")

# Long enough for another thread to notice that the interpreter is free, and to take it.
BREATH = 0.00005


def breathe() -> None:
    """Let the event loop run; called by a thread that computes for long."""
    time.sleep(BREATH)


async def given(outcome: T) -> T:
    """Return *outcome*, awaited: for what is known already."""
    return outcome


async def hop(call: Callable[[], T]) -> T:
    """Run *call* in a thread and return its result. How many there may be is for the caller to bound."""
    return await anyio.to_thread.run_sync(call, limiter=anyio.CapacityLimiter(1))


# The event loop in which each limiter of a user is used.
_homes: WeakKeyDictionary[anyio.CapacityLimiter, ref[Any]] = WeakKeyDictionary()
_homes_lock = threading.Lock()


def at_home(limiter: anyio.CapacityLimiter, loop: Any) -> anyio.CapacityLimiter:
    """Return *limiter* for the event loop that is the first to use it, and its like for any other.

    anyio's limiters belong to one loop: whoever waits for one in another is never woken.
    """
    with _homes_lock:
        home = _homes.setdefault(limiter, ref(loop))
    return limiter if home() is loop else anyio.CapacityLimiter(limiter.total_tokens)


async def shielded(call: Callable[[], object]) -> None:
    """Run a bounded *call* in a thread to its end, even if the caller is being cancelled.

    asyncio's own ``task.cancel()`` knows no shield. If it strikes before the thread has begun, the call is
    made in another thread, and nobody waits for it.
    """
    unclaimed = [call]

    def claim_and_run() -> None:
        try:
            claimed = unclaimed.pop()
        except IndexError:
            return
        claimed()

    try:
        with anyio.CancelScope(shield=True):
            await hop(claim_and_run)
    except BaseException:
        if unclaimed:
            threading.Thread(target=claim_and_run, name="mysql_redis_cache-ending", daemon=True).start()
        raise


class _Promise:
    """As much of a future of asyncio as is needed here, for trio."""

    __slots__ = ("_error", "_event", "_result")

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._error: Exception | None = None

    def done(self) -> bool:
        return self._event.is_set()

    def set_result(self, result: object) -> None:
        self._result = result
        self._event.set()

    def set_exception(self, error: Exception) -> None:
        self._error = error
        self._event.set()

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from self._event.wait().__await__()
        if self._error is not None:
            raise self._error
        return self._result


def promise() -> Any:
    """Return what one task awaits until the loop sets its result: on asyncio, a future.

    anyio's event does the same through two more coroutines, too much for the way of every hit.
    """
    create_future = getattr(native_loop(), "create_future", None)
    return _Promise() if create_future is None else create_future()


def native_loop() -> Any:
    """Return the running event loop of asyncio, or trio's token."""
    if "trio" in sys.modules:  # it may be asyncio's guest, and then both are running
        with suppress(RuntimeError):  # a callback of asyncio's is in no task, by which anyio would know it
            return anyio.lowlevel.current_token().native_token
    return asyncio.get_running_loop()


def prepare() -> None:
    """Have anyio ready in this event loop: its first use imports a backend, for twenty milliseconds."""
    with suppress(RuntimeError):  # in no task
        anyio.lowlevel.current_token()


def soon() -> Callable[[Callable[[], object]], None]:
    """Return what has the running event loop call a function soon, from any thread.

    Once the loop has ended, whoever waited in it is gone, and nothing is called.
    """
    loop = native_loop()
    call_soon = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon

    def call(function: Callable[[], object]) -> None:
        with suppress(RuntimeError):
            call_soon(function)

    return call
