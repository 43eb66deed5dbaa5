"""What a client has done so far, as a snapshot that can be read, compared and exported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

__all__ = ["NUMBERS", "QueryStats", "Stats"]

T = TypeVar("T", "QueryStats", "Stats")


@dataclass(frozen=True, slots=True)
class QueryStats:
    """What became of the reads of one query text, or one signature of ``with_cache``.

    Attributes:
        sha1: the SHA-1 of the text, 40 hexadecimal digits.
        query: the text, at most 1,000 characters of it.
        label: what its reads are labelled with, if with anything.
        hits: reads answered from Redis or the near cache.
        misses: reads that were not in the cache.
        loads: how often MySQL was asked, or the function called.
        load_failures: how many of these loads raised.
        load_seconds: how long the loads took, all together.
        worst_load_seconds: how long the longest took.
        bytes: the JSON of the last answer that was loaded.
        refusal: why an answer was not cached, the last time that one was not.
    """

    sha1: str
    query: str
    label: str | None = None
    hits: int = 0
    misses: int = 0
    loads: int = 0
    load_failures: int = 0
    load_seconds: float = 0.0
    worst_load_seconds: float = 0.0
    bytes: int = 0
    refusal: str | None = None

    @property
    def hit_ratio(self) -> float:
        """Hits of all reads of the cache; 1.0 if there were none."""
        return _ratio(self.hits, self.misses)

    @property
    def mean_load_seconds(self) -> float:
        """How long a load took on average; 0.0 if there was none."""
        return self.load_seconds / self.loads if self.loads else 0.0

    def __sub__(self, earlier: QueryStats) -> QueryStats:
        """Return what came since *earlier*; what is no count stays as it is now."""
        return _less(self, earlier, _QUERY_COUNTS)


@dataclass(frozen=True, slots=True, repr=False)
class Stats(Mapping[str, float]):
    """Counts since the client was made, or its process was forked: all of them are there from the start.

    They can be read as attributes and as items, ``stats.hits`` and ``stats["hits"]``; what happened between
    two snapshots is their difference, ``later - earlier``. The repr shows what is not 0.

    Attributes:
        hits: reads answered from Redis.
        near_hits: reads answered from this process's near cache.
        misses: reads that found nothing in the cache, or something too old.
        unavailable: reads that went past the cache because Redis was away.
        bypasses: reads that went past the cache for another reason: asked for, or inside a transaction.
        shared_loads: reads answered by a load that another read of the same key had under way.
        stale: reads answered with an entry past its ttl, as the client's windows allow.
        refreshes: refreshes begun behind a reader's back.
        loads: how often MySQL was asked for a cached read, or a cached function called.
        load_failures: how many of these loads raised.
        load_seconds: how long the loads took, all together.
        fills: answers stored in Redis.
        refused_fills: answers not stored, since a drop came while they were loaded, or the lease was lost.
        oversized_entries: answers larger than ``max_entry_bytes``.
        uncacheable_keys: reads whose key a cluster cannot keep.
        corrupt_entries: entries that were no JSON.
        cache_failures: commands that Redis did not answer, or refused.
        redis_down: 1 while Redis fails and reads go past it, else 0.
        verified: entries that ``verify`` compared with MySQL.
        stale_found: those of them that were outdated.
        drops: drops performed.
        dropped_entries: entries deleted by them.
        drop_failures: drops that failed.
        drop_timeouts: those of them that took too long.
        drop_seconds: how long the drops took, all together.
        pool_size: how many connections to MySQL there may be.
        pool_in_use: how many are in use now.
        pool_idle: how many are open and not in use now.
        pool_waits: statements that had to wait for a connection to MySQL.
        pool_wait_seconds: how long they waited, all together.
        pool_timeouts: statements that waited in vain.
        near_entries: entries in the near cache now.
        near_bytes: their size now.
        near_fills: entries put into the near cache.
        near_evictions: entries that had to make room there.
        near_invalidations: entries that a drop or write took out.
        near_losses: how often its listener was lost and all was taken out.
        queries: the figures of each query text, the most used first; at most 1,000 of them are kept.
    """

    hits: int = 0
    near_hits: int = 0
    misses: int = 0
    unavailable: int = 0
    bypasses: int = 0
    shared_loads: int = 0
    stale: int = 0
    refreshes: int = 0
    loads: int = 0
    load_failures: int = 0
    load_seconds: float = 0.0
    fills: int = 0
    refused_fills: int = 0
    oversized_entries: int = 0
    uncacheable_keys: int = 0
    corrupt_entries: int = 0
    cache_failures: int = 0
    redis_down: int = 0
    verified: int = 0
    stale_found: int = 0
    drops: int = 0
    dropped_entries: int = 0
    drop_failures: int = 0
    drop_timeouts: int = 0
    drop_seconds: float = 0.0
    pool_size: int = 0
    pool_in_use: int = 0
    pool_idle: int = 0
    pool_waits: int = 0
    pool_wait_seconds: float = 0.0
    pool_timeouts: int = 0
    near_entries: int = 0
    near_bytes: int = 0
    near_fills: int = 0
    near_evictions: int = 0
    near_invalidations: int = 0
    near_losses: int = 0
    queries: tuple[QueryStats, ...] = ()

    @property
    def hit_ratio(self) -> float:
        """Reads answered by the cache, of all that asked it; 1.0 if there were none."""
        return _ratio(self.hits + self.near_hits, self.misses + self.unavailable)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it, the queries as a list of dicts."""
        queries = [{each.name: getattr(one, each.name) for each in fields(one)} for one in self.queries]
        return {**self, "hit_ratio": self.hit_ratio, "queries": queries}

    def __sub__(self, earlier: Stats) -> Stats:
        """Return what came since *earlier*; what is no count, as ``near_bytes``, stays as it is now."""
        before = {each.sha1: each for each in earlier.queries}
        queries = [each - before[each.sha1] if each.sha1 in before else each for each in self.queries]
        return replace(_less(self, earlier, _COUNTS), queries=tuple(queries))

    def __repr__(self) -> str:
        shown = [f"{name}={number:.6g}" for name, number in self.items() if number]
        return f"Stats({', '.join(shown)})"

    def __getitem__(self, name: str) -> float:
        if name not in _NAMES:
            raise KeyError(name)
        return getattr(self, name)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(NUMBERS)

    def __len__(self) -> int:
        return len(NUMBERS)


NUMBERS = tuple(each.name for each in fields(Stats) if each.name != "queries")
"""The names of all numbers of a snapshot."""

_NAMES = frozenset(NUMBERS)
_NOW = {"near_entries", "near_bytes", "redis_down", "pool_size", "pool_in_use", "pool_idle"}
_COUNTS = tuple(name for name in NUMBERS if name not in _NOW)
_QUERY_COUNTS = ("hits", "misses", "loads", "load_failures", "load_seconds")


def _less(later: T, earlier: T, counts: tuple[str, ...]) -> T:
    return replace(later, **{name: getattr(later, name) - getattr(earlier, name) for name in counts})


def _ratio(hits: int, misses: int) -> float:
    return hits / (hits + misses) if hits + misses else 1.0
