"""The cache of a Starlette or FastAPI application: open as long as it runs, found by its requests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from starlette.requests import HTTPConnection  # noqa: TC002 - FastAPI looks it up to give it

from mysql_redis_cache.client import MRCClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from mysql_redis_cache.aio import AsyncMRCClient
    from mysql_redis_cache.options import ClientOptions

__all__ = ["State", "blocking_cache_of", "cache_of", "lifespan"]


class State(TypedDict):
    """What ``lifespan`` gives requests in their ``state``: both faces of one client."""

    mrc: AsyncMRCClient
    blocking_mrc: MRCClient


def lifespan(
    mysql_config: Mapping[str, Any] | str,
    redis_config: object = None,
    **options: Unpack[ClientOptions],
) -> Callable[[object], AbstractAsyncContextManager[State]]:
    """Return the lifespan of an application: a client is made when it starts, and closed when it ends.

    A lifespan of one's own enters it, and passes on the state that it gives.

    Args:
        mysql_config: as for ``MRCClient``.
        redis_config: as for ``MRCClient``.
        **options: as for ``MRCClient``.

    Raises:
        TypeError, ValueError: (when the application starts) as of ``MRCClient``.
    """

    @asynccontextmanager
    async def opened(_app: object) -> AsyncIterator[State]:
        blocking = MRCClient(mysql_config, redis_config, **options)
        async with blocking as client:
            yield {"mrc": client, "blocking_mrc": blocking}

    return opened


def cache_of(connection: HTTPConnection) -> AsyncMRCClient:
    """Return the client for ``async def`` endpoints; *connection* is a request or a websocket.

    Raises:
        RuntimeError: the application does not run in ``lifespan``.
    """
    return _found(connection, "mrc")  # type: ignore[no-any-return]


def blocking_cache_of(connection: HTTPConnection) -> MRCClient:
    """Return the client for ``def`` endpoints, over the same connections.

    Raises:
        RuntimeError: the application does not run in ``lifespan``.
    """
    return _found(connection, "blocking_mrc")  # type: ignore[no-any-return]


def _found(connection: HTTPConnection, name: str) -> Any:
    found = getattr(connection.state, name, None)
    if found is None:
        raise RuntimeError(
            "the application has no cache open: give it lifespan=lifespan(mysql_config, redis_config); a "
            "test enters it, as `with TestClient(app)` does"
        )
    return found
