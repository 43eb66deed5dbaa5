"""The metrics that exporters show: what they are called, and how they are read off a snapshot.

Each is a count or a gauge that stands there as it is: none is a difference of two counts, which could go back
for a moment and would look like a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .events import Drop, Load, PoolTimeout, PoolWait

if TYPE_CHECKING:
    from .stats import QueryStats, Stats

__all__ = ["DURATIONS", "METRICS", "SECONDS", "Duration", "Metric", "together"]

Samples: TypeAlias = Mapping[tuple[str, ...], float]

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of the buckets of durations: a load by primary key takes half a millisecond, a sweep seconds."""


class Metric(NamedTuple):
    """A metric that is read off a snapshot.

    Attributes:
        name: OpenTelemetry's name.
        prometheus: Prometheus' name, without ``_total``.
        unit: as OpenTelemetry writes it.
        help: what it is.
        labels: the names of its labels.
        read: gives its values by the values of its labels.
        is_gauge: whether it may go down.
        combine: what several clients of one name make together, of a gauge.
    """

    name: str
    prometheus: str
    unit: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Stats], Samples]
    is_gauge: bool = False
    combine: Callable[[Iterable[float]], float] = sum


class Duration(NamedTuple):
    """A histogram of seconds, filled by events.

    Attributes:
        name: OpenTelemetry's name.
        prometheus: Prometheus' name.
        help: what it is.
        kinds: the events that it is filled by.
        results: the values that its label ``result`` may have; none if it has no such label.
    """

    name: str
    prometheus: str
    help: str
    kinds: tuple[type[Load | Drop | PoolWait | PoolTimeout], ...]
    results: tuple[str, ...] = ()

    def result_of(self, event: Any) -> tuple[str, ...]:
        """Return the value of its label for an event, if it has one."""
        if not self.results:
            return ()
        if event.error is None:
            return (self.results[0],)
        return ("timeout" if event.error == "DropTimeout" else self.results[-1],)


def together(metric: Metric, named: Iterable[tuple[str, Stats]]) -> dict[tuple[str, ...], float]:
    """Return what clients have together of a metric, by name and labels.

    Args:
        metric: which.
        named: their names and snapshots; several may have one name.
    """
    values: dict[tuple[str, ...], list[float]] = {}
    for name, stats in named:
        for labels, value in metric.read(stats).items():
            values.setdefault((name, *labels), []).append(value)
    return {labels: metric.combine(each) for labels, each in values.items()}


def _one(name: str) -> Callable[[Stats], Samples]:
    number = attrgetter(name)
    return lambda stats: {(): number(stats)}


def _by_label(**numbers: str) -> Callable[[Stats], Samples]:
    """Read numbers by the values of the one label."""
    return lambda stats: {(value,): stats[name] for value, name in numbers.items()}


def _loads(stats: Stats) -> Samples:
    return {("ok",): stats.loads - stats.load_failures, ("error",): stats.load_failures}


def _drops(stats: Stats) -> Samples:
    unavailable = stats.drop_failures - stats.drop_timeouts
    return {("ok",): stats.drops, ("timeout",): stats.drop_timeouts, ("unavailable",): unavailable}


def _by_query(read: Callable[[QueryStats], Samples]) -> Callable[[Stats], Samples]:
    """Read figures of queries by their labels; those without one are left out: they may be any number."""

    def summed(stats: Stats) -> Samples:
        sums: Counter[tuple[str, ...]] = Counter()
        for query in stats.queries:
            if query.label is not None:
                for labels, value in read(query).items():
                    sums[query.label, *labels] += value  # type: ignore[assignment]  # a Counter of floats
        return sums

    return summed


METRICS = (
    Metric(
        "mysql_redis_cache.requests",
        "mrc_requests",
        "{request}",
        "Cached reads, by what the cache said.",
        ("result",),
        _by_label(
            hit="hits", near_hit="near_hits", miss="misses", bypass="bypasses", unavailable="unavailable"
        ),
    ),
    Metric(
        "mysql_redis_cache.stale",
        "mrc_stale",
        "{request}",
        "Reads answered with an entry past its ttl, as the windows allow.",
        (),
        _one("stale"),
    ),
    Metric(
        "mysql_redis_cache.shared_loads",
        "mrc_shared_loads",
        "{request}",
        "Reads answered by a load that another read of the same key had under way.",
        (),
        _one("shared_loads"),
    ),
    Metric(
        "mysql_redis_cache.refreshes",
        "mrc_refreshes",
        "{refresh}",
        "Refreshes begun behind a reader's back.",
        (),
        _one("refreshes"),
    ),
    Metric(
        "mysql_redis_cache.loads",
        "mrc_loads",
        "{load}",
        "Queries sent to MySQL for cached reads, and calls of cached functions.",
        ("result",),
        _loads,
    ),
    Metric(
        "mysql_redis_cache.fills",
        "mrc_fills",
        "{fill}",
        "Answers to be stored in Redis, by what became of that.",
        ("result",),
        _by_label(stored="fills", refused="refused_fills", oversized="oversized_entries"),
    ),
    Metric("mysql_redis_cache.drops", "mrc_drops", "{drop}", "Drops.", ("result",), _drops),
    Metric(
        "mysql_redis_cache.drop.entries",
        "mrc_dropped_entries",
        "{entry}",
        "Entries deleted by drops.",
        (),
        _one("dropped_entries"),
    ),
    Metric(
        "mysql_redis_cache.redis.available",
        "mrc_redis_available",
        "1",
        "0 while Redis fails and reads go past it, else 1.",
        (),
        lambda stats: {(): 1 - stats.redis_down},
        is_gauge=True,
        combine=min,
    ),
    Metric(
        "mysql_redis_cache.redis.failures",
        "mrc_redis_failures",
        "{command}",
        "Commands that Redis did not answer, or refused.",
        (),
        _one("cache_failures"),
    ),
    Metric(
        "mysql_redis_cache.corrupt_entries",
        "mrc_corrupt_entries",
        "{entry}",
        "Entries that were no JSON.",
        (),
        _one("corrupt_entries"),
    ),
    Metric(
        "mysql_redis_cache.verified",
        "mrc_verified",
        "{entry}",
        "Entries that verify compared with MySQL.",
        (),
        _one("verified"),
    ),
    Metric(
        "mysql_redis_cache.stale_found",
        "mrc_stale_found",
        "{entry}",
        "Entries that verify found to be outdated.",
        (),
        _one("stale_found"),
    ),
    Metric(
        "db.client.connection.count",
        "mrc_pool_connections",
        "{connection}",
        "Connections to MySQL, by whether they are in use.",
        ("state",),
        _by_label(used="pool_in_use", idle="pool_idle"),
        is_gauge=True,
    ),
    Metric(
        "db.client.connection.max",
        "mrc_pool_max_connections",
        "{connection}",
        "Connections to MySQL that there may be.",
        (),
        _one("pool_size"),
        is_gauge=True,
    ),
    Metric(
        "db.client.connection.timeouts",
        "mrc_pool_timeouts",
        "{timeout}",
        "Statements that waited for a connection to MySQL in vain.",
        (),
        _one("pool_timeouts"),
    ),
    Metric(
        "mysql_redis_cache.near.size",
        "mrc_near_bytes",
        "By",
        "Bytes in the near cache.",
        (),
        _one("near_bytes"),
        is_gauge=True,
    ),
    Metric(
        "mysql_redis_cache.near.items",
        "mrc_near_entries",
        "{entry}",
        "Entries in the near cache.",
        (),
        _one("near_entries"),
        is_gauge=True,
    ),
    Metric(
        "mysql_redis_cache.near.evictions",
        "mrc_near_evictions",
        "{entry}",
        "Entries taken out of the near cache, to make room or because they are outdated.",
        ("reason",),
        _by_label(full="near_evictions", invalidation="near_invalidations"),
    ),
    Metric(
        "mysql_redis_cache.near.fills",
        "mrc_near_fills",
        "{entry}",
        "Entries put into the near cache.",
        (),
        _one("near_fills"),
    ),
    Metric(
        "mysql_redis_cache.near.losses",
        "mrc_near_losses",
        "{loss}",
        "Times that the near cache was emptied because its connection to Redis was lost.",
        (),
        _one("near_losses"),
    ),
    Metric(
        "mysql_redis_cache.query.requests",
        "mrc_query_requests",
        "{request}",
        "Cached reads of labelled queries, by what the cache said.",
        ("query", "result"),
        _by_query(lambda query: {("hit",): query.hits, ("miss",): query.misses}),
    ),
    Metric(
        "mysql_redis_cache.query.loads",
        "mrc_query_loads",
        "{load}",
        "Loads of labelled queries.",
        ("query",),
        _by_query(lambda query: {(): query.loads}),
    ),
    Metric(
        "mysql_redis_cache.query.load.time",
        "mrc_query_load_seconds",
        "s",
        "How long the loads of labelled queries took, all together.",
        ("query",),
        _by_query(lambda query: {(): query.load_seconds}),
    ),
)

DURATIONS = (
    Duration(
        "mysql_redis_cache.load.duration",
        "mrc_load_duration_seconds",
        "How long a load took.",
        (Load,),
        ("ok", "error"),
    ),
    Duration(
        "mysql_redis_cache.drop.duration",
        "mrc_drop_duration_seconds",
        "How long a drop took.",
        (Drop,),
        ("ok", "timeout", "unavailable"),
    ),
    Duration(
        "db.client.connection.wait_time",
        "mrc_pool_wait_seconds",
        "How long a statement waited for a connection to MySQL, of those that had to.",
        (PoolWait, PoolTimeout),
    ),
)
