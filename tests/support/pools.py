"""What a pool of connections to Redis has, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mysql_redis_cache.store.connections import Connections

__all__ = ["living"]


def living(connections: Connections) -> set[Any]:
    """Return the connections that have a place: idle and lent."""
    return {found for each in tuple(connections._alive) if (found := each()) is not None}
