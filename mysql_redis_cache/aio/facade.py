"""What the asynchronous client and server have in common: a blocking twin, theirs to close or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from .threads import prepare, shielded

if TYPE_CHECKING:
    from mysql_redis_cache.calls import Lasting

__all__ = ["Facade"]


class Facade:
    """An asynchronous face of a blocking client or server.

    Args:
        blocking: the twin.
        owned: whether to close it when this is closed.
    """

    def __init__(self, blocking: Lasting, *, owned: bool) -> None:
        self._blocking = blocking
        self._owned = owned

    async def close_redis_connection(self) -> None:
        """Close the connections to Redis; a later call opens new ones."""
        await shielded(self._blocking.close_redis_connection)

    async def aclose(self) -> None:
        """Close everything, unless what does the work was handed in ready; safe to repeat."""
        self._let_threads_go()
        if self._owned:
            await shielded(self._blocking.close)

    def _let_threads_go(self) -> None:
        """Need none of its own any more."""

    async def __aenter__(self) -> Self:
        prepare()  # here, where nobody waits for the event loop yet
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
