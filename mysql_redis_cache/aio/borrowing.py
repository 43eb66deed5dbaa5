"""How the asynchronous faces come by the calls of the blocking ones: signature and docstring are said once.

A method borrowed in one of these ways has the parameters of the original, for readers, editors and type
checkers alike, and is a coroutine function.
"""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .threads import hop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import anyio

__all__ = ["as_it_is", "driven", "in_thread"]

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


def in_thread(
    method: Callable[Concatenate[Any, P], T], limiter: Callable[[Any], anyio.CapacityLimiter | None]
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Borrow a method that blocks: it is called on the blocking twin, in a thread.

    Args:
        method: of the blocking twin.
        limiter: gives what bounds the number of such threads.
    """

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await hop(partial(method, self._blocking, *args, **kwargs), limiter(self))

    return call
