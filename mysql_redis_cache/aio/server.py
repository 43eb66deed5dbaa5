"""AsyncMRCServer: drops from coroutines."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

import anyio.to_thread

from mysql_redis_cache.drops import DROP_TIMEOUT
from mysql_redis_cache.server import MRCServer

from .threads import shielded

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AsyncMRCServer"]


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
        await shielded(self._server.close_redis_connection)

    async def aclose(self) -> None:
        """Close the server, unless it was handed in ready; safe to repeat."""
        if self._owned:
            await shielded(self._server.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
