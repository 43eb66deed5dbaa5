"""What a client answers at once: no I/O, so the same from an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.database import Pool
    from mysql_redis_cache.keys import Tagged
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.sql import Params

__all__ = ["Instant"]


class Instant:
    """Calls that wait for nothing."""

    _core: Core

    def get_key_from_query(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        *,
        tags: Tagged = None,
    ) -> str:
        """Return the key under which a call is cached; no I/O."""
        return self._core.options.namespace.key(query, params, param_names, tags)

    def get_mysql_pool(self) -> Pool:
        """Return the blocking connection pool for direct use: ``with pool.connection() as connection: …``."""
        self._core.check_open()
        return self._core.database.pool

    def stats(self) -> dict[str, int]:
        """Return this client's counters by name: hits, misses, fills, refused_fills, and so on."""
        return self._core.figures()
