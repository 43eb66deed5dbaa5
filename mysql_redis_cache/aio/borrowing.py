"""How the asynchronous faces come by the calls of the blocking ones: signature and docstring are said once.

A method borrowed in one of these ways has the parameters of the original, for readers, editors and type
checkers alike, and (but for ``as_it_is``) is a coroutine function.
"""

from __future__ import annotations

import time
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from mysql_redis_cache.drops import DROP_TIMEOUT
from mysql_redis_cache.errors import CacheUnavailable, DropTimeout
from mysql_redis_cache.policy import seconds

from .lanes import DROPS, SHORT, Crowded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = [
    "as_it_is",
    "driven",
    "dropping",
    "in_mysql_thread",
    "in_own_thread",
    "in_short_thread",
    "watching",
]

# Seconds to wait for a thread for what is over soon.
PATIENCE = 10.0

# Seconds of waiting for a thread from which on a drop's time is shortened by them.
NOTICEABLE = 0.01

P = ParamSpec("P")
T = TypeVar("T")


def as_it_is(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Borrow a method that needs nothing but the driver, and waits for nothing."""
    return method


def driven(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Borrow a method that ends in ``self._driver.run(…)``, which here gives something to await."""
    ask: Any = method

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await ask(self, *args, **kwargs)  # type: ignore[no-any-return]

    return call


def in_mysql_thread(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Borrow a method that asks MySQL: called on the blocking twin once there is a connection for it."""

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        ask = partial(method, self._blocking, *args, **kwargs)
        return await self._driver.loads.in_mysql_thread(ask)  # type: ignore[no-any-return]

    return call


def in_short_thread(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Borrow a method that asks Redis, and is over soon: called on the blocking twin.

    Raises:
        CacheUnavailable: no thread became free in time.
    """

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await SHORT.run(partial(method, self._blocking, *args, **kwargs), PATIENCE)
        except Crowded:
            raise CacheUnavailable(f"no thread became free within {PATIENCE:g} s") from None

    return call


def in_own_thread(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Borrow a method of something that has a connection, and a limiter that lets one thread use it."""

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        ask = partial(method, self, *args, **kwargs)
        return await anyio.to_thread.run_sync(ask, limiter=self._limiter)

    return call


def dropping(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Borrow a method that drops, with a ``timeout``, which counts from the call."""
    drop: Any = method

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        timeout, began = seconds("timeout", kwargs.get("timeout", DROP_TIMEOUT)), time.monotonic()

        def perform() -> T:
            waited = time.monotonic() - began
            left = {"timeout": max(0.0, timeout - waited)} if waited > NOTICEABLE else {}
            return drop(self._blocking, *args, **{**kwargs, **left})  # type: ignore[no-any-return]

        try:
            return await DROPS.run(perform, timeout)
        except Crowded:
            raise DropTimeout(timeout, "waiting for a thread", 0) from None

    return call


def watching(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, None]]:
    """Borrow ``wait_for``: each look in a thread, the time between two in the event loop."""

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:
        watch = self._blocking._watch(*args, **kwargs)  # noqa: SLF001 - one client, two faces
        try:
            while (pause := await DROPS.run(watch.look, max(0.0, watch.left))) is not None:
                await anyio.sleep(pause)
        except Crowded:
            raise watch.too_late() from None

    return call
