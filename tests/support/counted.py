"""What a client has counted, less what was 0 and what every read brings along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mysql_redis_cache.observe import Stats

__all__ = ["counted"]

NAMES = (
    *("hits", "misses", "fills", "refused_fills", "shared_loads", "cache_failures"),
    *("corrupt_entries", "oversized_entries", "uncacheable_keys"),
)


def counted(stats: Stats) -> dict[str, Any]:
    """Return the counts of what became of reads, those that are not 0."""
    return {name: stats[name] for name in NAMES if stats[name]}
